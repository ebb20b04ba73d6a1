"""Waiting for a role: what is said of it, and from when it counts."""

from __future__ import annotations

import threading

from deploy.patience import Patience


class _Hours:
    now_s = 100.0


def _ask_in_a_new_thread(patience: Patience) -> None:
    thread = threading.Thread(target=patience)
    thread.start()
    thread.join()


def test_nothing_is_said_of_a_short_wait_and_a_long_one_is_told_with_its_length() -> None:
    said: list[str] = []
    hours = _Hours()
    patience = Patience("web", lambda: False, said.append, clock=lambda: hours.now_s)

    patience()
    hours.now_s += 4
    patience()
    assert said == []

    hours.now_s += 2
    patience()
    assert said == ["still waiting for web (6 s)"]


def test_each_start_of_a_role_is_waited_for_anew() -> None:
    said: list[str] = []
    hours = _Hours()
    patience = Patience("the broker store", lambda: False, said.append, clock=lambda: hours.now_s)
    _ask_in_a_new_thread(patience)

    hours.now_s += 92
    _ask_in_a_new_thread(patience)

    assert said == []
