"""When triggers are let go of: single times a week after they were done, and what is left of removed ones."""

from __future__ import annotations

import pytest

from services.streams.event import EventInput
from services.streams.schedule_events import (
    Definition,
    TickEnded,
    TickSettled,
    TriggerCondensed,
    TriggerDefined,
    TriggerRemoved,
)
from tests.unit.schedule.lane import Lane
from tests.unit.schedule.life import DAY, HOUR, MINUTE, NINE

WEEK = 7 * DAY


@pytest.fixture
def lane() -> Lane:
    return Lane()


def answer(lane: Lane) -> None:
    (due,) = lane.due
    lane.append("tick.dispatched", TickEnded(tick=due.tick, job=due.job))
    lane.append("tick.settled", TickSettled(tick=due.tick, outcome="answered"))
    lane.rest()


def done(lane: Lane) -> None:
    """A single time that was asked and answered at ten."""
    lane.define(cron="", at=NINE + HOUR)
    lane.rest()
    lane.now += HOUR
    lane.rest()
    answer(lane)


def removals(lane: Lane) -> list[TriggerRemoved]:
    return [e.decode(TriggerRemoved) for e in lane.events if e.type == "trigger.removed"]


def test_a_single_time_is_let_go_of_a_week_after_it_was_done_and_says_so(lane: Lane) -> None:
    done(lane)
    assert lane.timer == NINE + HOUR + WEEK
    lane.now = NINE + HOUR + WEEK

    lane.rest()

    assert removals(lane) == [TriggerRemoved(by="schedule", definition=2)]
    assert lane.state.definition is None
    assert lane.state == lane.folded()


def test_a_single_time_whose_tick_is_not_answered_stays(lane: Lane) -> None:
    lane.define(cron="", at=NINE + HOUR)
    lane.rest()
    lane.now += HOUR
    lane.rest()
    lane.now += 2 * WEEK
    lane.rest()
    assert removals(lane) == []

    answer(lane)

    assert len(removals(lane)) == 1


@pytest.mark.parametrize(("paused", "origin"), [(True, "api"), (False, "config")])
def test_a_single_time_that_is_paused_or_declared_stays(paused: bool, origin: str, lane: Lane) -> None:
    given = Definition(prompt="go", at=NINE + HOUR, paused=paused)
    lane.append("trigger.defined", TriggerDefined(definition=given, origin=origin))  # type: ignore[arg-type]  # as given
    lane.rest()
    lane.now += HOUR
    lane.rest()
    if not paused:
        answer(lane)
    lane.now += 2 * WEEK

    lane.rest()

    assert removals(lane) == []


def test_what_is_defined_while_its_single_time_is_let_go_of_stays(lane: Lane) -> None:
    done(lane)
    lane.now += WEEK
    given = TriggerDefined(definition=Definition(prompt="again", at=lane.now + HOUR))

    lane.commit(between=EventInput.of("trigger.defined", given))
    assert len(removals(lane)) == 1
    lane.rest()

    assert lane.state.definition == given.definition
    assert lane.timer == lane.now + HOUR
    assert lane.state == lane.folded()


def test_of_a_removed_trigger_no_more_is_kept_than_what_it_came_to_in_the_end(lane: Lane) -> None:
    lane.define(overlap="allow")
    lane.rest()
    lane.now += HOUR
    lane.rest()
    answer(lane)
    lane.append("trigger.removed", TriggerRemoved())
    lane.rest()
    removed = len(lane.events)

    for day in range(60):
        lane.now += DAY
        if lane.timer is not None and lane.timer <= lane.now:
            assert day in (6, 13)
            lane.rest()

    kept = [e for e in lane.events if e.type == "trigger.condensed"]
    assert [e.offset for e in kept] == [removed + 1, removed + 2]
    assert [e.decode(TriggerCondensed).trims for e in kept] == [0, removed + 1]
    assert lane.timer is None


def test_a_removed_trigger_that_comes_again_is_written_down_every_day_as_before(lane: Lane) -> None:
    lane.define()
    lane.rest()
    lane.append("trigger.removed", TriggerRemoved())
    lane.rest()
    lane.now += WEEK + MINUTE
    lane.rest()
    lane.define(overlap="allow")
    lane.rest()

    for _ in range(20 * 24):
        lane.now += HOUR
        lane.rest()

    trims = [e.decode(TriggerCondensed).trims for e in lane.events if e.type == "trigger.condensed"]
    assert len(trims) == 21
    assert trims == sorted(trims)
    assert trims[-1] > 0
    assert lane.state == lane.folded()
