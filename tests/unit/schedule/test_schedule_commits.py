"""How what a trigger decides fits into commits, and what becomes of it where others append in between."""

from __future__ import annotations

import msgspec
import pytest

from services.processors.contract import STATE_LIMIT
from services.schedule.state import MOST_OPEN, MOST_SPANS, TriggerState
from services.streams.event import EventInput
from services.streams.schedule_events import (
    Definition,
    TickEnded,
    TickSettled,
    TicksPassed,
    TriggerDefined,
    TriggerFired,
    TriggerParked,
    TriggerRemoved,
)
from tests.unit.schedule.lane import Lane
from tests.unit.schedule.life import DAY, HOUR, MINUTE, NINE


@pytest.fixture
def lane() -> Lane:
    return Lane()


@pytest.mark.parametrize("claims", [False, True])
@pytest.mark.parametrize("overlap", ["allow", "queue", "skip"])
def test_hours_of_minutes_are_caught_up_with_by_commits_that_each_fit(
    overlap: str, claims: bool, lane: Lane
) -> None:
    lane.define(cron="* * * * *", misfire="all", overlap=overlap)
    lane.rest()
    lane.now += 3 * HOUR

    lane.rest(claims=claims)

    assert lane.state == lane.folded()
    assert lane.state.after == NINE + 3 * HOUR
    assert len(lane.due) == (1 if overlap == "skip" else 180)
    assert len(lane.jobs) == (180 if overlap == "allow" else 1)


def test_what_waits_for_a_removed_trigger_is_ended_to_the_last(lane: Lane) -> None:
    lane.define(cron="* * * * *", misfire="all", overlap="queue", catch_up_s=3 * 86_400)
    lane.rest()
    lane.now += DAY
    lane.rest()
    assert len(lane.state.open) == 200

    lane.append("trigger.removed", TriggerRemoved())
    lane.rest()

    assert lane.state.open == {}
    assert lane.types().count("tick.skipped") == 200


def test_a_commit_that_leaves_work_for_now_is_due_again_at_once(lane: Lane) -> None:
    lane.define(cron="* * * * *", misfire="all", overlap="allow")
    lane.rest()
    lane.now += 3 * HOUR

    made = lane.commit()

    assert made.timer is not None
    assert 0 < made.timer <= lane.now
    assert len(lane.due) == 50
    assert lane.due[-1].due == NINE + 50 * MINUTE


def test_a_definition_that_comes_while_all_is_written_down_holds(lane: Lane) -> None:
    lane.define(prompt="old")
    lane.rest()
    lane.now += DAY + MINUTE
    given = TriggerDefined(definition=Definition(prompt="new", cron="30 * * * *"))

    lane.commit(between=EventInput.of("trigger.defined", given))
    assert "trigger.condensed" in lane.types()
    lane.rest()

    state = lane.state
    assert state == lane.folded()
    assert state.definition == given.definition
    assert state.kept == ()


def test_a_tick_names_the_definition_it_was_due_under_whatever_comes_in_between(lane: Lane) -> None:
    defined = lane.define(misfire="all", overlap="allow")
    lane.rest()
    lane.now += DAY + MINUTE

    lane.commit(between=EventInput.of("trigger.fired", TriggerFired()))
    lane.rest()

    assert "trigger.condensed" in lane.types()
    assert {one.definition for one in lane.due} == {defined}


def test_an_answer_that_comes_while_all_is_written_down_counts(lane: Lane) -> None:
    lane.define(overlap="skip")
    lane.rest()
    lane.now += HOUR
    lane.rest()
    (first,) = lane.due
    job = lane.jobs[first.job].id
    lane.append("tick.dispatched", TickEnded(tick=first.tick, job=job))
    lane.rest()
    lane.now += DAY

    lane.commit(between=EventInput.of("tick.settled", TickSettled(tick=first.tick, outcome="answered")))
    lane.rest()

    assert first.tick not in lane.state.open
    lane.now += HOUR
    lane.rest()
    assert lane.due[-1].due == lane.now


def test_a_trigger_is_parked_for_the_definition_that_could_not_be_read_only(lane: Lane) -> None:
    lane.define(tz="Mars/Olympus")
    readable = TriggerDefined(definition=Definition(prompt="go", cron="0 * * * *"))

    lane.commit(between=EventInput.of("trigger.defined", readable))
    assert "trigger.parked" in lane.types()
    lane.rest()

    assert lane.state.parked == ""
    assert lane.timer == NINE + HOUR


def test_what_a_parked_trigger_missed_is_said_once_it_goes_on(lane: Lane) -> None:
    lane.define()
    lane.append("trigger.parked", TriggerParked(reason="tz is not known", definition=2))
    lane.rest()
    lane.now += 2 * HOUR + MINUTE
    assert lane.rest() == 1
    lane.define(prompt="again")

    lane.rest()

    (passed,) = [e.decode(TicksPassed) for e in lane.events if e.type == "ticks.skipped"]
    assert (passed.first, passed.last, passed.reason) == (NINE + HOUR, NINE + 2 * HOUR, "parked")
    assert lane.timer == NINE + 3 * HOUR


def test_a_trigger_that_ran_ahead_under_a_wrong_clock_begins_again_once_it_is_defined_anew(
    lane: Lane,
) -> None:
    lane.define()
    lane.rest()
    lane.now += 400 * DAY
    lane.rest()
    lane.now = NINE + HOUR + MINUTE

    lane.define()
    lane.rest()

    assert lane.timer == NINE + 2 * HOUR
    assert lane.state == lane.folded()


def test_a_state_as_large_as_it_may_become_fits(lane: Lane) -> None:
    cron = ",".join(["1-59/2"] * 26) + " * * * *"
    given = {"prompt": '"' * 12_288, "cron": cron, "answer_in": '"' * 300, "catch_up_s": 259_200}
    tz = "America/Argentina/ComodRivadavia"
    lane.define(**given, tz=tz, misfire="all", overlap="queue")
    lane.rest()
    lane.now += 7 * HOUR
    lane.rest()
    assert len(lane.state.open) == MOST_OPEN

    for _ in range(MOST_SPANS + 1):
        lane.now += 2 * MINUTE
        lane.define(**given, tz=tz, misfire="all", overlap="queue", paused=True)
    read = lane.commit().before["s:schedule"]

    assert len(msgspec.json.decode(read, type=TriggerState).spans) > MOST_SPANS
    assert 40_000 < len(read) < STATE_LIMIT - 4096
    assert lane.state == lane.folded()
