"""What becomes of a tick while the one before it is not answered, with real sessions and their ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.streams.event import EventInput, StreamId
from services.streams.keys import Keys
from services.streams.schedule_events import TickSettled
from services.streams.vocabulary import InputReceived
from tests.fakes.clockwork import HOUR, MINUTE, Clockwork, at

TEN, ELEVEN, TWELVE = (f"trigger:nightly:{at(hour)}" for hour in (10, 11, 12))
ONE = StreamId("trigger:nightly")


@pytest.fixture
def clock(store_url: str, keys: Keys) -> Iterator[Clockwork]:
    made = Clockwork(store_url, keys)
    yield made
    made.close()


def hours(clock: Clockwork, count: int = 1) -> None:
    for _ in range(count):
        clock.pass_time(HOUR)
        clock.work()


def test_a_tick_that_skips_is_passed_over_while_the_one_before_is_unanswered(clock: Clockwork) -> None:
    clock.define(overlap="skip")
    hours(clock, 3)
    assert clock.states() == {
        at(10): "dispatched",
        at(11): "skipped: overlap",
        at(12): "skipped: overlap",
    }

    clock.settle(TEN)
    hours(clock)

    assert list(clock.states().values())[::3] == ["dispatched: answered", "dispatched"]


def test_a_tick_that_queues_waits_until_the_one_before_is_answered(clock: Clockwork) -> None:
    clock.define(overlap="queue")
    hours(clock, 3)
    waits = "due: waits_for_the_one_before"
    assert clock.states() == {at(10): "dispatched", at(11): waits, at(12): waits}

    clock.settle(TEN)
    assert clock.states() == {at(10): "dispatched: answered", at(11): "dispatched", at(12): waits}

    clock.settle(ELEVEN)
    clock.settle(TWELVE)

    assert set(clock.states().values()) == {"dispatched: answered"}


def test_a_tick_that_waited_past_its_window_expires_and_the_next_one_goes(clock: Clockwork) -> None:
    clock.define(overlap="queue", catch_up_s=5400)
    hours(clock, 3)
    clock.settle(TEN)

    assert clock.states() == {
        at(10): "dispatched: answered",
        at(11): "dispatched",
        at(12): "due: waits_for_the_one_before",
    }
    hours(clock, 2)
    assert clock.states()[at(12)] == "expired: overlap"
    clock.settle(ELEVEN)
    assert clock.states()[at(13)] == "dispatched"


def test_ticks_that_may_overlap_do(clock: Clockwork) -> None:
    clock.define(overlap="allow")
    hours(clock, 3)

    assert set(clock.states().values()) == {"dispatched"}
    assert [len(clock.inputs(session)) for session in (TEN, ELEVEN, TWELVE)] == [1, 1, 1]


@pytest.mark.parametrize("outcome", ["failed", "cancelled"])
def test_the_next_tick_goes_however_the_one_before_ended(clock: Clockwork, outcome: str) -> None:
    clock.define(overlap="queue")
    hours(clock, 2)

    if outcome == "failed":
        clock.settle(TEN, "failed")
    else:
        clock.controls.cancel(StreamId(TEN))
        clock.work()
        clock.pass_time(MINUTE)
        clock.work()

    assert clock.states() == {at(10): f"dispatched: {outcome}", at(11): "dispatched"}


def test_a_tick_that_is_withdrawn_from_a_session_that_is_busy_ends_so(clock: Clockwork) -> None:
    clock.define(overlap="allow", session="one")
    hours(clock, 2)
    (offset,) = [row.offset for row in clock.rows().values() if row.tick == at(11)]

    clock.controls.withdraw(ONE, offset)
    clock.work()

    assert clock.states() == {at(10): "dispatched", at(11): "dispatched: withdrawn"}


def test_a_tick_whose_turn_a_person_steers_away_is_answered_with_theirs(clock: Clockwork) -> None:
    clock.define(overlap="queue", session="one")
    hours(clock, 2)
    steered = EventInput.of("input.received", InputReceived(text="no, this", policy="steer", source="http"))

    clock.log.append(ONE, [steered], external=True)
    clock.work()
    clock.pass_time(MINUTE)
    clock.work()
    assert clock.states()[at(10)] == "dispatched", "its input is still to be answered"
    clock.settle(ONE)

    assert clock.states() == {at(10): "dispatched: answered", at(11): "dispatched"}


def test_what_the_session_made_of_a_tick_comes_back_once(clock: Clockwork) -> None:
    clock.define(overlap="queue")
    hours(clock, 2)
    clock.settle(TEN)
    clock.settle(ELEVEN)

    # Whoever delivered it died before it could cross it out.
    for _ in range(3):
        clock.stage.deliverer.run(StreamId(TEN))
        clock.work()

    told = [e.decode(TickSettled) for e in clock.events("tick.settled")]
    assert [(one.tick, one.outcome) for one in told] == [(at(10), "answered"), (at(11), "answered")]


def test_what_was_said_twice_of_a_tick_counts_once(clock: Clockwork) -> None:
    clock.define(overlap="queue")
    hours(clock)
    clock.settle(TEN)
    more = EventInput.of("input.received", InputReceived(text="and?", source="http"))
    clock.log.append(StreamId(TEN), [more], external=True)
    clock.work()
    clock.settle(TEN)

    assert len(clock.events("tick.settled")) == 1


def test_a_paused_session_holds_its_outcome_back_and_the_ledger_says_it_is_not_answered(
    clock: Clockwork,
) -> None:
    clock.define(overlap="queue")
    hours(clock)
    clock.controls.pause(StreamId(TEN))
    hours(clock)

    assert clock.states() == {at(10): "dispatched", at(11): "due: waits_for_the_one_before"}
    assert clock.triggers.show("nightly").open == 2


def test_what_is_asked_for_by_hand_waits_its_turn_too(clock: Clockwork) -> None:
    clock.define(overlap="queue")
    hours(clock)
    tick = clock.fire()
    clock.work()
    assert clock.states()[tick] == "due: waits_for_the_one_before"

    clock.settle(TEN)

    assert clock.states()[tick] == "dispatched"
    assert clock.rows()[tick].session == f"trigger:nightly:{tick}"


def test_a_change_to_allow_lets_everything_go_that_waits(clock: Clockwork) -> None:
    clock.define(overlap="queue")
    hours(clock, 3)

    clock.define(overlap="allow")
    clock.work()

    assert set(clock.states().values()) == {"dispatched"}
