"""The order of a trigger's ticks: nothing overtakes one that waits."""

from __future__ import annotations

import pytest

from services.schedule.names import tick_name
from services.streams.schedule_events import TickAdmitted, TickEnded
from tests.unit.schedule.life import HOUR, MINUTE, NINE, Life

TEN, ELEVEN, NOON = (tick_name(NINE + hours * HOUR) for hours in (1, 2, 3))


@pytest.fixture
def life() -> Life:
    """Ten's tick is dispatched, those of eleven and noon wait for its answer; each may wait for two hours."""
    life = Life()
    life.define(misfire="all", overlap="queue", catch_up_s=2 * 3600)
    life.now = NINE + HOUR
    life.look()
    life.dispatch(TEN)
    for life.now in (NINE + 2 * HOUR, NINE + 3 * HOUR):
        life.look()
    return life


def admitted(life: Life) -> list[str]:
    return [event.decode(TickAdmitted).tick for event in life.events if event.type == "tick.admitted"]


def test_a_time_that_is_due_as_the_first_of_those_that_wait_is_too_late_goes_behind_the_others(
    life: Life,
) -> None:
    life.settle(TEN)
    life.now = NINE + 4 * HOUR
    life.look()

    expired = [event.decode(TickEnded).tick for event in life.events if event.type == "tick.expired"]
    assert (expired, admitted(life)) == ([ELEVEN], [NOON])
    assert life.jobs.keys() == {NOON}
    assert [one.waits for one in life.due] == [False, True, True, True]


def test_what_a_person_wants_done_now_goes_behind_what_may_go_and_did_not_yet(life: Life) -> None:
    life.settle(TEN)
    life.now += MINUTE
    life.fire()
    assert life.jobs == {}

    life.look()

    assert admitted(life) == [ELEVEN]
    assert life.jobs.keys() == {ELEVEN}
    assert (life.due[-1].is_manual, life.due[-1].waits) == (True, True)


def test_where_ticks_are_skipped_now_one_that_waits_counts_as_the_one_before(life: Life) -> None:
    life.define(misfire="all", overlap="skip")
    life.settle(TEN)
    life.now += MINUTE
    life.fire()

    (skipped,) = [event.decode(TickEnded) for event in life.events if event.type == "tick.skipped"]
    assert skipped.reason == "overlap"
    life.look()
    assert life.jobs.keys() == {ELEVEN}
