"""Hints on their way out of a process: merged, bounded, and timed for what falls due soon."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from services.errors import Unavailable
from services.jobs import wake as module
from services.jobs.wake import Hint, Wake
from services.streams.keys import Keys, Kind
from tests.worker.waiting import wait_until

KEYS = Keys("t", 4)


class Port:
    """Keeps what was published; away until `open` is set."""

    def __init__(self) -> None:
        self.sent: list[Hint] = []
        self.calls = 0
        self.open = threading.Event()
        self.open.set()

    def publish(self, hints: Sequence[Hint]) -> None:
        """Keep them, once open."""
        self.calls += 1
        self.open.wait(30)
        self.sent += hints

    def backlog(self, kind: Kind) -> int:
        """Nothing waits."""
        return 0


@pytest.fixture
def port() -> Port:
    return Port()


@pytest.fixture
def wake(port: Port) -> Iterator[Wake]:
    made = Wake(KEYS, port)
    yield made
    port.open.set()
    made.stop()


def ids(port: Port) -> list[str]:
    return [hint.id for hint in port.sent]


def test_while_the_broker_hangs_the_newest_hints_are_kept_up_to_a_bound(port: Port, wake: Wake) -> None:
    port.open.clear()
    wake.start()
    wake.hint("advance", "first")
    wait_until(lambda: port.calls == 1)
    for n in range(module.MOST_WAITING + 50):
        wake.hint("advance", f"s{n}")

    port.open.set()

    last = f"s{module.MOST_WAITING + 49}"
    wait_until(lambda: last in ids(port)[-1:])
    assert ids(port) == ["first", *(f"s{n}" for n in range(50, module.MOST_WAITING + 50))]


def test_a_timer_armed_again_and_again_ends_once(port: Port, wake: Wake) -> None:
    for _ in range(300):
        wake.at("advance", "s", 1_200, now_ms=1_000)
    wake.at("advance", "end", 1_400, now_ms=1_000)
    wake.start()

    wait_until(lambda: "end" in ids(port))
    assert ids(port) == ["s", "end"]


def test_a_timer_that_is_moved_ends_at_its_new_time_only(port: Port, wake: Wake) -> None:
    wake.at("advance", "later", 1_050, now_ms=1_000)
    wake.at("advance", "later", 1_300, now_ms=1_000)
    wake.at("advance", "sooner", 1_900, now_ms=1_000)
    wake.at("advance", "sooner", 1_150, now_ms=1_000)
    wake.start()

    wait_until(lambda: len(port.sent) == 2)
    assert ids(port) == ["sooner", "later"]


def test_many_timers_may_end_at_one_time(port: Port) -> None:
    wake = Wake(KEYS, port, clock=lambda: 5.0)
    kinds: tuple[Kind, ...] = ("llm", "tool", "advance")
    for kind in kinds:
        wake.at(kind, "s", 1_000, now_ms=1_000)
    wake.start()

    wait_until(lambda: len(port.sent) == 3)
    wake.stop()


def test_a_broker_that_fails_ends_nothing() -> None:
    told: list[BaseException] = []

    class Failing(Port):
        def publish(self, hints: Sequence[Hint]) -> None:
            self.calls += 1
            if self.calls < 3:
                raise Unavailable("away") if self.calls == 1 else RuntimeError("a defect")
            self.sent += hints

    port = Failing()
    wake = Wake(KEYS, port, failed=told.append)
    wake.start()
    for n in range(3):
        wake.hint("advance", f"s{n}")
        wait_until(lambda n=n: port.calls > n)  # type: ignore[misc]  # mypy can not infer a default of a lambda

    wait_until(lambda: ids(port) == ["s2"])
    assert [type(error).__name__ for error in told] == ["Unavailable", "RuntimeError"]
    wake.stop()


class Busy(Port):
    """Workers that have read all but `unread` hints."""

    def __init__(self, unread: int) -> None:
        super().__init__()
        self.unread, self.looks = unread, 0

    def backlog(self, kind: Kind) -> int:
        """As many as were said to be unread."""
        self.looks += 1
        return self.unread


def test_no_more_hints_leave_than_free_slots_could_follow() -> None:
    port = Busy(unread=1)
    wake = Wake(KEYS, port, free=lambda: 4)
    for n in range(10):
        wake.hint("advance", f"s{n}")
    wake.start()

    wait_until(lambda: port.looks > 1)
    assert ids(port)[:3] == ["s0", "s1", "s2"]
    wake.stop()


def test_what_nobody_could_follow_leaves_once_somebody_can() -> None:
    port = Busy(unread=4)
    wake = Wake(KEYS, port, free=lambda: 4)
    wake.hint("advance", "a")
    wake.hint("llm", "s@1")
    wake.start()
    wait_until(lambda: port.looks > 2)
    assert ids(port) == []

    port.unread = 0

    wait_until(lambda: ids(port) == ["a", "s@1"])
    wake.stop()


def test_of_many_that_wait_for_a_free_slot_the_newest_are_kept() -> None:
    port = Busy(unread=9)
    wake = Wake(KEYS, port, free=lambda: 0)
    wake.start()
    last = 2 * module.FLUSH
    for n in range(last + 1):
        wake.hint("advance", f"s{n}")
    looks = port.looks
    wait_until(lambda: port.looks > looks + 3)

    wake.stop()

    assert ids(port) == [f"s{n}" for n in range(last + 1 - module.MOST_HELD, last + 1)]


def test_one_look_at_the_backlog_is_enough_for_as_many_hints_as_there_is_room() -> None:
    port = Busy(unread=0)
    wake = Wake(KEYS, port, free=lambda: 50, clock=lambda: 5.0)
    wake.start()
    for n in range(50):
        wake.hint("advance", f"s{n}")
        wait_until(lambda n=n: len(port.sent) > n)  # type: ignore[misc]  # mypy can not infer a default of a lambda

    assert port.looks == 1
    wake.stop()
