"""What a trigger makes of its due times, by its policies, in good times and after bad ones."""

from __future__ import annotations

import pytest

from services.schedule.names import tick_name
from services.schedule.state import MOST_OPEN, TriggerState
from services.streams.schedule_events import TickEnded, TriggerCondensed, TriggerParked
from tests.unit.schedule.life import DAY, HOUR, MINUTE, NINE, Life


@pytest.fixture
def life() -> Life:
    return Life()


def names(life: Life) -> list[str]:
    return [one.tick for one in life.due]


def test_a_due_time_becomes_a_tick_and_its_job(life: Life) -> None:
    life.define(cron="0 10 * * *")
    life.look()
    assert life.schedule.wakes_at(life.state) == NINE + HOUR

    life.now = NINE + HOUR
    life.look()

    assert names(life) == ["20261120T100000Z"]
    assert life.jobs.keys() == {"20261120T100000Z"}
    assert life.schedule.wakes_at(life.state) == NINE + HOUR + DAY


@pytest.mark.parametrize(
    ("misfire", "due", "skipped", "expired"),
    [
        ("all", [11, 12, 13, 14], [], [10]),
        ("latest", [14], [(10, 13)], []),
        ("skip", [], [(10, 14)], []),
    ],
)
def test_missed_times_are_done_as_the_policy_says(
    misfire: str, due: list[int], skipped: list[tuple[int, int]], expired: list[int], life: Life
) -> None:
    life.define(misfire=misfire, overlap="allow", catch_up_s=4 * 3600)

    life.now = NINE + 5 * HOUR + 30 * MINUTE
    life.look()

    assert [one.due for one in life.due] == [NINE + (hour - 9) * HOUR for hour in due]
    ranges = [(one.first, one.last) for one in life.passed("ticks.skipped")]
    assert ranges == [(NINE + (a - 9) * HOUR, NINE + (b - 9) * HOUR) for a, b in skipped]
    late = [(one.first, one.last, one.reason) for one in life.passed("ticks.expired")]
    assert late == [(NINE + (hour - 9) * HOUR, NINE + (hour - 9) * HOUR, "late") for hour in expired]


def test_the_oldest_missed_time_goes_first(life: Life) -> None:
    life.define(misfire="all", overlap="allow")

    life.now = NINE + 3 * HOUR
    life.look()

    assert list(life.jobs) == [tick_name(NINE + n * HOUR) for n in (1, 2, 3)]


def test_a_day_of_minutes_is_caught_up_with_in_bounded_steps(life: Life) -> None:
    life.define(cron="* * * * *", misfire="all", overlap="allow", catch_up_s=3 * 86_400)
    life.now = NINE + 2 * HOUR
    moment = life._moment()

    first = life.schedule.on_time(life.state, moment)

    assert len(first) <= 220
    life.look()
    assert len(life.due) == 120


def test_a_tick_waits_for_the_one_before_it_and_goes_on_when_that_is_answered(life: Life) -> None:
    life.define(misfire="all", overlap="queue")
    life.now = NINE + 3 * HOUR
    life.look()
    first, second, third = names(life)
    assert life.jobs.keys() == {first}

    life.dispatch(first)
    life.look()
    assert life.jobs.keys() == set()
    life.settle(first)
    life.look()

    assert life.jobs.keys() == {second}
    life.dispatch(second, "burned", reason="attempts_exhausted")
    life.look()
    assert life.jobs.keys() == {third}


def test_a_tick_is_skipped_while_the_one_before_it_is_unsettled(life: Life) -> None:
    life.define(overlap="skip")
    life.now = NINE + HOUR
    life.look()
    (first,) = names(life)
    life.dispatch(first)

    life.now = NINE + 2 * HOUR
    life.look()
    life.settle(first)
    life.now = NINE + 3 * HOUR
    life.look()

    assert [one.due for one in life.due] == [NINE + HOUR, NINE + 3 * HOUR]
    (skipped,) = life.passed("ticks.skipped")
    assert (skipped.first, skipped.reason) == (NINE + 2 * HOUR, "overlap")


def test_a_tick_that_waited_for_too_long_expires_and_says_for_what(life: Life) -> None:
    life.define(overlap="queue", catch_up_s=2 * 3600)
    life.now = NINE + HOUR
    life.look()
    (first,) = names(life)
    life.dispatch(first)
    life.now = NINE + 2 * HOUR
    life.look()

    life.now = NINE + 4 * HOUR
    life.look()

    ended = [e.decode(TickEnded) for e in life.events if e.type == "tick.expired"]
    assert [(one.tick, one.reason) for one in ended] == [(tick_name(NINE + 2 * HOUR), "overlap")]


def test_what_was_due_before_an_edit_is_done_as_it_was_then(life: Life) -> None:
    life.define(cron="0 * * * *", misfire="all", overlap="allow")
    life.now = NINE + 2 * HOUR + 10 * MINUTE
    life.define(cron="30 * * * *", misfire="all", overlap="allow")
    life.now = NINE + 3 * HOUR + 40 * MINUTE

    life.look()

    assert [(one.due, one.definition) for one in life.due] == [
        (NINE + HOUR, 1),
        (NINE + 2 * HOUR, 1),
        (NINE + 2 * HOUR + 30 * MINUTE, 2),
        (NINE + 3 * HOUR + 30 * MINUTE, 2),
    ]


def test_what_is_due_while_it_is_paused_is_skipped_and_said_to_be(life: Life) -> None:
    life.define(misfire="all", overlap="allow")
    life.now += 30 * MINUTE
    life.define(misfire="all", overlap="allow", paused=True)
    life.look()
    life.now = NINE + 3 * HOUR + 30 * MINUTE
    life.look()
    assert life.schedule.wakes_at(life.state) is None

    life.define(misfire="all", overlap="allow")
    life.now = NINE + 4 * HOUR
    life.look()

    assert [one.due for one in life.due] == [NINE + 4 * HOUR]
    (skipped,) = life.passed()
    assert (skipped.first, skipped.last, skipped.reason) == (NINE + HOUR, NINE + 3 * HOUR, "paused")


def test_what_waits_when_a_trigger_is_removed_is_not_done_and_says_so(life: Life) -> None:
    life.define(misfire="all", overlap="queue")
    life.now = NINE + 2 * HOUR
    life.look()
    first, second = names(life)
    life.release(first)
    life.now = NINE + 3 * HOUR + MINUTE

    life.remove()
    life.look()

    ended = [e.decode(TickEnded) for e in life.events if e.type == "tick.skipped"]
    assert sorted((one.tick, one.reason) for one in ended) == [(first, "removed"), (second, "removed")]
    assert life.jobs == {}
    (skipped,) = life.passed()
    assert (skipped.first, skipped.reason) == (NINE + 3 * HOUR, "removed")
    life.now += DAY
    life.look()
    assert len(life.due) == 2


def test_a_tick_on_its_way_when_its_trigger_is_removed_comes_to_its_end(life: Life) -> None:
    life.define()
    life.now = NINE + HOUR
    life.look()
    (tick,) = names(life)
    life.begin(tick)

    life.remove()
    life.look()

    assert life.jobs.keys() == {tick}


def test_a_trigger_that_comes_again_after_its_removal_goes_on_from_then(life: Life) -> None:
    life.define(misfire="all")
    life.remove()
    life.now = NINE + 3 * HOUR + MINUTE
    life.define(misfire="all")
    life.now = NINE + 4 * HOUR
    life.look()

    assert [one.due for one in life.due] == [NINE + 4 * HOUR]
    assert life.passed() == []


def test_a_single_time_is_due_once(life: Life) -> None:
    life.define(cron="", at=NINE + 90 * MINUTE)
    life.now = NINE + 2 * HOUR
    life.look()
    assert [one.due for one in life.due] == [NINE + 90 * MINUTE]

    life.now += DAY
    life.look()
    life.define(cron="", at=NINE + 90 * MINUTE, prompt="other words")
    life.look()

    assert len(life.due) == 1
    assert life.schedule.wakes_at(life.state) is None


def test_a_single_time_that_was_long_past_when_it_was_declared_expires_visibly(life: Life) -> None:
    life.define(cron="", at=NINE - DAY)
    life.look()

    (expired,) = life.passed("ticks.expired")
    assert (expired.first, expired.last, expired.reason) == (NINE - DAY, NINE - DAY, "late")


def test_a_clock_that_is_set_back_fires_nothing_again(life: Life) -> None:
    life.define(misfire="all", overlap="allow")
    life.now = NINE + 2 * HOUR
    life.look()

    life.now = NINE + 30 * MINUTE
    life.look()
    life.now = NINE + 3 * HOUR
    life.look()

    assert [one.due for one in life.due] == [NINE + n * HOUR for n in (1, 2, 3)]


def test_a_person_can_have_it_done_now_even_while_it_is_paused(life: Life) -> None:
    life.define(paused=True)
    life.now += 5 * MINUTE
    life.fire()

    (tick,) = life.due
    assert (tick.tick, tick.is_manual, tick.due) == ("manual-2", True, life.now)
    assert life.jobs.keys() == {"manual-2"}


def test_what_a_person_wants_done_now_keeps_to_the_overlap_policy(life: Life) -> None:
    life.define(overlap="skip")
    life.fire()
    life.fire()

    assert life.jobs.keys() == {"manual-2"}
    (skipped,) = [e.decode(TickEnded) for e in life.events if e.type == "tick.skipped"]
    assert (skipped.tick, skipped.reason) == ("manual-4", "overlap")


def test_an_expression_that_can_not_be_read_any_more_parks_the_trigger(life: Life) -> None:
    life.define(tz="Mars/Olympus")
    life.look()

    (parked,) = [e.decode(TriggerParked) for e in life.events if e.type == "trigger.parked"]
    assert parked.reason.startswith("tz is not a time zone")
    assert life.schedule.wakes_at(life.state) is None
    life.define(tz="UTC")
    life.look()
    assert life.schedule.wakes_at(life.state) == NINE + HOUR


def test_more_than_can_wait_is_passed_over(life: Life) -> None:
    life.define(cron="* * * * *", overlap="queue", misfire="latest", catch_up_s=3 * 86_400)
    for _ in range(MOST_OPEN + 10):
        life.now += MINUTE
        life.look()

    assert len(life.due) == MOST_OPEN
    assert {(one.reason, one.last - one.first) for one in life.passed("ticks.skipped")} == {("too_many", 0)}
    assert life.passed("ticks.skipped")[-1].last == life.now


def test_where_all_are_to_be_done_more_than_can_wait_come_when_there_is_room(life: Life) -> None:
    life.define(cron="* * * * *", overlap="queue", misfire="all", catch_up_s=3 * 86_400)
    life.now = NINE + (MOST_OPEN + 10) * MINUTE
    life.look()
    assert len(life.due) == MOST_OPEN
    assert life.passed() == []

    done = 0
    while life.state.open:
        (tick,) = life.jobs
        life.dispatch(tick)
        life.settle(tick)
        life.look()
        done += 1

    assert done == MOST_OPEN + 10
    assert [one.due for one in life.due] == [NINE + n * MINUTE for n in range(1, done + 1)]
    assert life.passed() == []


def test_what_waited_for_room_past_its_window_expires(life: Life) -> None:
    life.define(cron="* * * * *", overlap="queue", misfire="all", catch_up_s=3 * 3600)
    life.now = NINE + (MOST_OPEN + 10) * MINUTE
    life.look()
    (first,) = life.jobs
    life.dispatch(first)

    life.now += 4 * HOUR
    life.look()

    expired = life.passed("ticks.expired")
    assert {one.reason for one in expired} == {"late"}
    assert life.accounted() == {NINE + n * MINUTE: 1 for n in range(1, MOST_OPEN + 251)}


def test_ticks_for_one_session_share_their_place_in_line_and_others_do_not(life: Life) -> None:
    life.define(misfire="all", overlap="allow", session="one")
    life.now = NINE + 2 * HOUR
    life.look()
    assert len({job.destination for job in life.jobs.values()}) == 1
    assert {one.session for one in life.due} == {"trigger:nightly"}

    life.define(misfire="all", overlap="allow", session="each")
    life.now = NINE + 4 * HOUR
    life.look()

    assert len({job.destination for job in life.jobs.values()}) == 3


def test_what_is_known_is_written_down_once_a_day_and_lets_go_of_a_week(life: Life) -> None:
    life.define(overlap="allow")
    for _ in range(24 * 12):
        life.now += HOUR
        life.look()
        for tick in list(life.jobs):
            life.dispatch(tick)

    kept = [(e, e.decode(TriggerCondensed)) for e in life.events if e.type == "trigger.condensed"]
    assert 10 <= len(kept) <= 12
    trims = [one.trims for _, one in kept]
    assert trims[0] == 0 < trims[-1]
    assert trims == sorted(trims)
    first = life.events[trims[-1] - 1]
    assert first.type == "trigger.condensed"
    assert life.now - first.created_at >= 7 * DAY
    state = TriggerState()
    for event in life.events[trims[-1] - 1 :]:
        state = life.schedule.reduce(state, event)
    assert state == life.state
