"""A tick on its way to its session, on a real store: what holds it up, what ends it, and that it is said once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.channels.contract import DeliveryError
from services.errors import Overloaded
from services.streams.event import EventInput, StreamId
from services.streams.keys import Keys
from services.streams.schedule_events import TickEnded
from services.streams.vocabulary import InputWithdrawn, StreamCreated
from tests.fakes.clockwork import DAY, HOUR, MINUTE, SECOND, Clockwork, at

SESSION = StreamId(f"trigger:nightly:{at(10)}")
ONE = StreamId("trigger:nightly")


@pytest.fixture
def clock(store_url: str, keys: Keys) -> Iterator[Clockwork]:
    made = Clockwork(store_url, keys)
    yield made
    made.close()


def test_a_tick_that_is_due_is_an_input_of_its_session(clock: Clockwork) -> None:
    clock.define(prompt="It is {date} {time}.")
    clock.work()
    assert clock.rows() == {}

    clock.pass_time(HOUR)
    clock.work()

    (row,) = clock.rows().values()
    assert (row.tick, row.state, row.session, row.offset) == (at(10), "dispatched", SESSION, 2)
    assert row.claimed_at is not None
    assert row.dispatched_at is not None
    assert row.due < row.claimed_at <= row.dispatched_at
    (said,) = clock.inputs(SESSION)
    assert (said.text, said.tick, said.source) == ("It is 2026-11-20 10:00.", f"nightly@{at(10)}", "trigger")


def test_a_worker_that_died_before_it_said_anything_is_followed_by_one_that_does(clock: Clockwork) -> None:
    clock.define()
    clock.pass_time(HOUR)
    clock.look()
    clock.take(at(10))

    clock.pass_time(MINUTE)
    clock.stage.relay.round()
    clock.work()

    assert len(clock.inputs(SESSION)) == 1
    row = clock.rows()[at(10)]
    assert (row.state, row.attempts) == ("dispatched", 2)


def test_a_worker_that_died_right_after_it_said_it_is_not_repeated(clock: Clockwork) -> None:
    clock.define()
    clock.pass_time(HOUR)
    clock.look()
    held, claim = clock.take(at(10))
    clock.dispatch(clock.hand).run(held, claim)
    assert clock.rows()[at(10)].state == "claimed"

    clock.pass_time(MINUTE)
    clock.stage.relay.round()
    clock.work()

    assert len(clock.inputs(SESSION)) == 1
    row = clock.rows()[at(10)]
    assert (row.state, row.offset, row.attempts) == ("dispatched", 2, 2)


def test_what_was_said_before_its_window_closed_counts_as_dispatched_whenever_that_is_found(
    clock: Clockwork,
) -> None:
    clock.define()
    clock.pass_time(HOUR)
    clock.look()
    held, claim = clock.take(at(10))
    clock.dispatch(clock.hand).run(held, claim)

    clock.pass_time(5 * HOUR)
    clock.stage.relay.round()
    clock.work()

    row = clock.rows()[at(10)]
    assert (row.state, row.session, row.offset) == ("dispatched", SESSION, 2)


def test_two_workers_that_look_at_once_make_one_tick(clock: Clockwork) -> None:
    clock.define()
    clock.pass_time(HOUR)
    other = clock.stage.hand("other")

    with clock.stage.between("commit", lambda: other.advancer.advance(StreamId("schedule:nightly"))):
        clock.look()
    clock.work()

    assert list(clock.states().values()) == ["dispatched"]
    assert len(clock.events("tick.queued")) == len(clock.inputs(SESSION)) == 1


def test_a_tick_for_a_paused_session_waits_and_holds_the_later_ones_of_that_session(clock: Clockwork) -> None:
    clock.define(session="one", overlap="allow")
    clock.pass_time(HOUR)
    clock.work()
    clock.controls.pause(ONE)

    clock.pass_time(HOUR)
    clock.work()
    clock.pass_time(HOUR)
    clock.work()

    assert clock.states() == {at(10): "dispatched", at(11): "released: paused", at(12): "due"}
    assert clock.rows()[at(11)].retry_at
    assert len(clock.inputs(ONE)) == 1
    clock.controls.resume(ONE)
    clock.pass_time(6 * SECOND)
    clock.work()
    assert set(clock.states().values()) == {"dispatched"}
    assert [each.tick for each in clock.inputs(ONE)] == [f"nightly@{at(h)}" for h in (10, 11, 12)]


def test_waiting_for_a_paused_session_costs_no_attempt(clock: Clockwork) -> None:
    clock.define(session="one", overlap="allow")
    clock.pass_time(HOUR)
    clock.work()
    clock.controls.pause(ONE)
    clock.pass_time(HOUR)
    for _ in range(60):
        clock.work()
        clock.pass_time(6 * SECOND)
    assert clock.rows()[at(11)].attempts > 50

    clock.controls.resume(ONE)
    clock.work()

    assert clock.rows()[at(11)].state == "dispatched"


def test_a_tick_whose_session_is_paused_past_its_window_expires_and_says_why(clock: Clockwork) -> None:
    clock.define(session="one", overlap="allow", catch_up_s=3600)
    clock.pass_time(HOUR)
    clock.work()
    clock.controls.pause(ONE)
    clock.pass_time(HOUR)
    clock.work()

    clock.pass_time(HOUR + MINUTE)
    clock.work()

    assert clock.states()[at(11)] == "expired: paused"
    clock.controls.resume(ONE)
    clock.pass_time(6 * SECOND)
    clock.work()
    assert [each.tick for each in clock.inputs(ONE)] == [f"nightly@{at(h)}" for h in (10, 12)]


def test_a_store_that_is_full_has_the_tick_wait(clock: Clockwork) -> None:
    def full() -> None:
        raise Overloaded("store_full")

    clock.define()
    clock.guard = full
    clock.pass_time(HOUR)
    clock.work()
    assert clock.states() == {at(10): "released: store_full"}
    assert clock.inputs(SESSION) == []

    clock.guard = lambda: None
    clock.pass_time(MINUTE)
    clock.work()

    assert clock.states() == {at(10): "dispatched"}


def test_a_session_of_another_agent_burns_the_tick(clock: Clockwork) -> None:
    clock.define(session="one")
    created = EventInput.of("stream.created", StreamCreated(agent="poet"))
    clock.log.append(ONE, [EventInput.of("input.withdrawn", InputWithdrawn(input=9))], create=created)

    clock.pass_time(HOUR)
    clock.work()

    assert clock.states() == {at(10): "burned: session_has_another_agent"}
    assert clock.inputs(ONE) == []
    clock.pass_time(HOUR)
    clock.work()
    assert list(clock.states()) == [at(10), at(11)], "what was burned must not hold the next one"


def test_an_agent_nobody_here_knows_is_waited_for(clock: Clockwork) -> None:
    clock.define(agent="poet")
    clock.agents = ("default",)
    clock.pass_time(HOUR)
    clock.work()
    assert clock.states() == {at(10): "released: no_such_agent"}

    clock.agents = ("default", "poet")
    clock.pass_time(MINUTE)
    clock.work()

    assert clock.states() == {at(10): "dispatched"}


def test_an_agent_nobody_ever_knows_lets_the_tick_expire(clock: Clockwork) -> None:
    clock.define(agent="poet", catch_up_s=600)
    clock.agents = ("default",)
    clock.pass_time(HOUR)
    clock.work()

    clock.pass_time(11 * MINUTE)
    clock.work()

    assert clock.states() == {at(10): "expired: no_such_agent"}


def test_a_tick_that_fails_again_and_again_burns(clock: Clockwork) -> None:
    clock.define()
    clock.pass_time(HOUR)
    clock.look()
    while clock.states() == {at(10): "due"} or clock.states()[at(10)].startswith("released"):
        held, claim = clock.take(at(10))
        if claim.charged > 30:
            clock.hand.claims.release(held, error="defect")
            break
        assert clock.hand.claims.release(held, error="defect")
        clock.look()

    clock.work()

    assert clock.states() == {at(10): "burned: attempts_exhausted"}
    assert clock.inputs(SESSION) == []


def test_a_tick_is_done_as_it_was_defined_when_it_was_due(clock: Clockwork) -> None:
    clock.define(prompt="old", overlap="allow")
    clock.pass_time(HOUR)
    clock.define(prompt="new", overlap="allow")
    clock.work()
    clock.pass_time(HOUR)
    clock.work()

    said = [clock.inputs(f"trigger:nightly:{at(h)}")[0].text for h in (10, 11)]
    assert said == ["old", "new"]


def test_a_definition_is_found_where_it_was_written_down_anew(clock: Clockwork) -> None:
    clock.define(prompt="{trigger} at {time}", overlap="allow", misfire="all")
    clock.work()
    clock.pass_time(DAY + HOUR)
    clock.work()

    assert clock.events("trigger.condensed")
    clock.pass_time(HOUR)
    clock.work()
    queued = clock.events("tick.queued")[-1]
    condensed = clock.events("trigger.condensed")[-1]
    assert queued.offset > condensed.offset
    (said,) = clock.inputs(f"trigger:nightly:{at(11, day=21)}")
    assert said.text == "nightly at 11:00"


def test_a_prompt_has_the_date_of_its_zone(clock: Clockwork) -> None:
    clock.define(prompt="{weekday} {date} {time} {due} {tz}", tz="Pacific/Kiritimati")
    clock.pass_time(HOUR)
    clock.work()

    (said,) = clock.inputs(SESSION)
    assert said.text == "Saturday 2026-11-21 00:00 2026-11-21T00:00:00+14:00 Pacific/Kiritimati"


def test_removing_a_trigger_stops_what_has_not_begun(clock: Clockwork) -> None:
    clock.define(agent="poet")
    clock.agents = ("default",)
    clock.pass_time(HOUR)
    clock.work()
    assert clock.states() == {at(10): "released: no_such_agent"}

    clock.triggers.remove("nightly")
    clock.work()

    assert clock.states() == {at(10): "skipped: removed"}
    assert [e.decode(TickEnded).reason for e in clock.events("tick.skipped")] == ["removed"]
    clock.agents = ("default", "poet")
    clock.pass_time(HOUR)
    clock.work()
    assert list(clock.states()) == [at(10)]
    assert clock.inputs(SESSION) == []


def test_a_tick_says_where_it_is_to_be_answered(clock: Clockwork) -> None:
    clock.define(answer_in="slack:C1")
    clock.pass_time(HOUR)
    clock.work()

    assert [each.reply_to for each in clock.inputs(SESSION)] == [clock.room.ADDRESS]


def test_a_place_that_does_not_answer_is_tried_again_and_one_that_is_gone_burns(clock: Clockwork) -> None:
    clock.define(answer_in="slack:C1", overlap="allow")
    clock.room.trouble = DeliveryError("overloaded", code="rate_limited")
    clock.pass_time(HOUR)
    clock.work()
    assert clock.states() == {at(10): "released: rate_limited"}

    clock.room.trouble = DeliveryError("gone", code="channel_not_found")
    clock.pass_time(MINUTE)
    clock.work()

    assert clock.states() == {at(10): "burned: channel_not_found"}
    assert clock.inputs(SESSION) == []


def test_four_hours_of_missed_minutes_are_caught_up_with_the_oldest_first(clock: Clockwork) -> None:
    clock.define(cron="* * * * *", misfire="all", overlap="allow", session="one")
    clock.work()

    clock.pass_time(3 * HOUR)
    clock.work()

    assert set(clock.states().values()) == {"dispatched"}
    ticks = [each.tick for each in clock.inputs(ONE)]
    assert len(ticks) == 180
    assert ticks == sorted(ticks)


def test_what_waited_when_a_trigger_was_removed_does_not_come_back_with_it(clock: Clockwork) -> None:
    clock.define(overlap="queue")
    for _ in range(3):
        clock.pass_time(HOUR)
        clock.work()

    clock.triggers.remove("nightly")
    clock.define(overlap="queue", prompt="new")
    clock.pass_time(HOUR)
    clock.work()

    gone = "skipped: removed"
    waits = "due: waits_for_the_one_before"
    assert clock.states() == {at(10): "dispatched", at(11): gone, at(12): gone, at(13): waits}
    clock.settle(SESSION)
    assert clock.states()[at(13)] == "dispatched"


def test_what_was_on_its_way_when_a_trigger_was_removed_does_not_come_back_with_it(clock: Clockwork) -> None:
    clock.define(agent="poet", overlap="allow")
    clock.agents = ("default",)
    clock.pass_time(HOUR)
    clock.work()

    clock.triggers.remove("nightly")
    clock.define(overlap="allow")
    clock.agents = ("default", "poet")
    clock.pass_time(MINUTE)
    clock.work()

    assert clock.states() == {at(10): "skipped: removed"}
    assert clock.inputs(SESSION) == []
