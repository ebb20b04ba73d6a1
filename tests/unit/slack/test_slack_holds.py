"""A method that Slack wants left alone is left alone, and those who wait for it come back one by one."""

from __future__ import annotations

import pytest

from services.channels.contract import DeliveryError
from services.channels.slack.holds import LONGEST_S, SPACING_S, Holds


class Clock:
    """Monotonic seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def holds(clock: Clock) -> Holds:
    return Holds(monotonic=clock)


def _wait(holds: Holds, method: str = "chat.postMessage") -> float:
    """How long whoever calls now has to wait; 0 when not at all."""
    try:
        holds.check(method)
    except DeliveryError as error:
        return error.retry_after_s or 0.0
    return 0.0


def test_a_method_nobody_complained_about_is_free(holds: Holds) -> None:
    assert _wait(holds) == 0


def test_who_comes_too_early_is_told_when_to_come_back(holds: Holds) -> None:
    holds.hold("chat.postMessage", 30)

    with pytest.raises(DeliveryError) as caught:
        holds.check("chat.postMessage")

    assert (caught.value.kind, caught.value.code) == ("overloaded", "held")


def test_a_hold_ends_when_slack_said(holds: Holds, clock: Clock) -> None:
    holds.hold("chat.postMessage", 30)
    clock.now += 29
    assert _wait(holds) == pytest.approx(1 + SPACING_S)

    clock.now += 1

    assert _wait(holds) == 0
    assert _wait(holds) == 0


def test_each_who_waits_gets_a_moment_of_its_own(holds: Holds) -> None:
    holds.hold("chat.postMessage", 10)

    waits = [_wait(holds) for _ in range(4)]

    assert waits == pytest.approx([10 + SPACING_S * n for n in (1, 2, 3, 4)])


def test_nobody_is_sent_away_for_ever(holds: Holds) -> None:
    holds.hold("chat.postMessage", 10)

    waits = [_wait(holds) for _ in range(3000)]

    assert max(waits) == 10 + LONGEST_S


def test_another_method_is_not_held(holds: Holds) -> None:
    holds.hold("chat.postMessage", 10)

    assert _wait(holds, "reactions.add") == 0


def test_the_longer_of_two_holds_counts(holds: Holds) -> None:
    holds.hold("chat.postMessage", 30)
    holds.hold("chat.postMessage", 1)

    assert _wait(holds) > 30
