"""Who looks for lost deliveries, and when: one of all that may, every five minutes and when somebody asks."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from services.channels.contract import Sending
from services.errors import TurnwrightError, Unavailable
from services.inbound.reconciler import EVERY_S, SOON_S, Reconciler
from services.sessions.reconciling import MORE, Reconciled, Reconciling
from services.sessions.values import WrongState
from tests.fakes.store_servers import Console
from tests.fakes.store_stage import Stage


class Host:
    """A process that may look, with a clock of its own."""

    def __init__(self, stage: Stage) -> None:
        self.now_s = 1_000_000.0
        self.looks: list[Reconciled] = []
        self.rests: list[bytes] = []
        self.fails = False
        self.error = ""
        self.reconciling = Reconciling(stage.store, stage.keys)
        self.reconciler = Reconciler(
            self._look, self.reconciling, failed=_never, now_ms=lambda: int(self.now_s * 1000)
        )

    def round(self) -> int:
        """How often it looked so far."""
        self.reconciler.round()
        return len(self.looks)

    def _look(
        self, before: Reconciled, rest: bytes, *, sending: Sending, keep: Callable[[], None]
    ) -> tuple[Reconciled, bytes]:
        self.looks.append(before)
        self.rests.append(rest)
        if self.fails:
            raise Unavailable("the log store does not answer")
        keep()
        return Reconciled(until=int(self.now_s * 1000), taken=1, error=self.error), b"of look %d" % len(
            self.looks
        )


def _never(error: TurnwrightError) -> None:
    raise error


def test_it_is_looked_at_once_and_then_every_five_minutes(stage: Stage) -> None:
    host = Host(stage)

    assert [host.round(), host.round()] == [1, 1]
    host.now_s += EVERY_S - 1
    assert host.round() == 1
    host.now_s += 1
    assert host.round() == 2
    assert host.looks[1].until == 1_000_000_000


def test_after_a_look_that_was_long_enough_the_next_is_soon(stage: Stage) -> None:
    host = Host(stage)
    host.error = MORE
    host.round()

    host.now_s += SOON_S - 1
    assert host.round() == 1
    host.now_s += 1
    assert host.round() == 2


def test_of_several_hosts_one_looks(stage: Stage) -> None:
    first, second = Host(stage), Host(stage)

    first.round()

    assert second.round() == 0
    assert second.reconciling.state() == first.reconciling.state()


def test_who_looks_keeps_others_from_it(stage: Stage) -> None:
    host = Host(stage)
    turn = host.reconciling.turn()
    assert turn.take()

    assert host.round() == 0
    turn.leave()
    assert host.round() == 1


def test_who_died_in_a_look_keeps_others_from_it_for_half_a_minute(stage: Stage, bare: Console) -> None:
    assert Host(stage).reconciling.turn().take()

    assert 0 < bare.execute_command("TTL", stage.keys.reconciling) <= 30


def test_nobody_ends_the_turn_of_another(stage: Stage) -> None:
    reconciling = Host(stage).reconciling
    late, next_one = reconciling.turn(), reconciling.turn()
    assert late.take()
    stage.store.client.delete(stage.keys.reconciling)
    assert next_one.take()

    late.keep()
    late.leave()

    assert not reconciling.turn().take()


def test_what_a_look_leaves_is_there_for_the_next(stage: Stage) -> None:
    first, second = Host(stage), Host(stage)
    first.round()
    second.now_s += EVERY_S

    second.round()

    assert (first.rests, second.rests) == ([b""], [b"of look 1"])


def test_clocks_of_hosts_do_not_matter(stage: Stage) -> None:
    reconciling = Host(stage).reconciling

    assert abs(reconciling.now_ms() - time.time() * 1000) < 60_000


def test_who_asks_need_not_wait_for_it_to_be_time(stage: Stage) -> None:
    host = Host(stage)
    host.round()

    asked = host.reconciling.ask()

    assert asked.answered < asked.asked
    assert host.round() == 2
    assert host.reconciling.state().answered == asked.asked
    assert host.round() == 2


def test_a_look_that_broke_is_made_again(stage: Stage) -> None:
    host = Host(stage)
    host.fails = True
    with pytest.raises(Unavailable):
        host.round()

    host.fails = False

    assert host.round() == 2
    assert host.reconciling.state().taken == 1


def test_where_nobody_can_be_asked_that_is_said(stage: Stage) -> None:
    with pytest.raises(WrongState, match="GitHub is off"):
        Reconciling(stage.store, stage.keys, off="GitHub is off").ask()
