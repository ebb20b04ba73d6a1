"""How what a trigger decides fits into commits, and what becomes of it where others append in between."""

from __future__ import annotations

import pytest

from services.streams.schedule_events import TriggerRemoved
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
