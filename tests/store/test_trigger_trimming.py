"""Letting go of what is older than a week, on a real store: what is left says everything, and nothing is due twice."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from services.errors import Unavailable
from services.schedule.processor import Schedule
from services.schedule.state import MOST_OPEN, TriggerState
from services.streams.event import EventInput, StreamId
from services.streams.keys import Keys
from services.streams.schedule_events import TickSettled, TriggerCondensed
from tests.fakes.clockwork import DAY, HOUR, Clockwork, at

STREAM = StreamId("schedule:nightly")


class Newer(Schedule):
    """The processor of the next release."""

    contract = msgspec.structs.replace(Schedule.contract, version=Schedule.contract.version + 1)


@pytest.fixture
def clock(store_url: str, keys: Keys) -> Iterator[Clockwork]:
    made = Clockwork(store_url, keys)
    yield made
    made.close()


def days(clock: Clockwork, count: int, *, every_h: int = 6) -> None:
    for _ in range(count * 24 // every_h):
        clock.pass_time(every_h * HOUR)
        clock.work()


def stored(clock: Clockwork) -> TriggerState:
    raw = clock.log.load(STREAM, limit=0).fields["s:schedule"]
    return msgspec.json.decode(raw, type=TriggerState)


def folded(clock: Clockwork) -> TriggerState:
    state = TriggerState()
    for event in clock.events():
        if Schedule.contract.takes(event.type):
            state = Schedule().reduce(state, event)
    return state


def test_what_is_older_than_a_week_goes_and_the_ledger_still_says_all_of_the_week(clock: Clockwork) -> None:
    clock.define(overlap="allow", cron="0 */6 * * *")
    days(clock, 10)

    events = clock.events()
    assert events[0].type == "trigger.condensed"
    assert clock.now - 9 * DAY < events[0].created_at <= clock.now - 7 * DAY
    rows = clock.rows(since=clock.now - 7 * DAY)
    assert len(rows) == 7 * 4
    assert {one.state for one in rows.values()} == {"dispatched"}


def test_what_was_passed_over_in_that_week_can_still_be_expanded(clock: Clockwork) -> None:
    clock.define(overlap="allow", misfire="latest")
    days(clock, 10, every_h=12)

    rows = clock.rows(since=clock.now - 7 * DAY)
    assert len(rows) == 7 * 24
    assert sorted({(one.state, one.reason) for one in rows.values()}) == [
        ("dispatched", ""),
        ("skipped", "misfire"),
    ]


def test_what_is_left_folds_to_what_is_stored(clock: Clockwork) -> None:
    clock.define(overlap="queue", cron="0 */6 * * *")
    days(clock, 10)

    assert clock.events()[0].type == "trigger.condensed"
    assert folded(clock) == stored(clock)


def test_a_newer_processor_folds_what_is_left_and_does_no_tick_twice(
    clock: Clockwork, store_url: str
) -> None:
    clock.define(overlap="allow", cron="0 */6 * * *")
    days(clock, 10)
    before = stored(clock)

    newer = Clockwork(store_url, clock.stage.keys, schedule=Newer(), beside=clock)
    newer.pass_time(6 * HOUR)
    newer.work()
    newer.close()

    queued = clock.events("tick.queued")
    assert len(queued) == len({bytes(each.payload) for each in queued})
    assert stored(clock).after == before.after + 6 * HOUR


def test_a_trim_that_failed_is_made_good_a_day_later(clock: Clockwork) -> None:
    clock.define(overlap="allow", cron="0 */6 * * *")
    days(clock, 7)
    trim, failing = clock.log.trim, True

    def away(stream: StreamId, *, before: int) -> int:
        if failing:
            raise Unavailable("away")
        return trim(stream, before=before)

    clock.log.trim = away  # type: ignore[method-assign]  # a store that goes away at that very moment
    days(clock, 2)
    assert clock.not_trimmed
    assert clock.events()[0].offset == 1

    failing = False
    days(clock, 1)

    assert clock.events()[0].type == "trigger.condensed"
    assert len(clock.rows(since=clock.now - 7 * DAY)) == 28


def test_what_happens_while_it_is_written_down_is_not_forgotten(clock: Clockwork) -> None:
    clock.define(overlap="queue", cron="0 9 * * *")
    days(clock, 1, every_h=24)
    tick = at(9, day=21)
    assert clock.states() == {tick: "dispatched"}
    settled = EventInput.of("tick.settled", TickSettled(tick=tick, outcome="answered", turn=1))

    clock.pass_time(DAY)
    with clock.stage.between("commit", lambda: clock.log.append(STREAM, [settled])):
        clock.look()
    clock.work()

    condensed, told = clock.events("trigger.condensed"), clock.events("tick.settled")
    assert told[0].offset + 1 == condensed[-1].offset
    assert clock.states() == {tick: "dispatched: answered", at(9, day=22): "dispatched"}
    assert tick not in stored(clock).open
    assert folded(clock) == stored(clock)


def test_a_definition_that_came_while_it_was_written_down_is_in_force(clock: Clockwork) -> None:
    clock.define(overlap="allow", cron="0 9 * * *")
    days(clock, 1, every_h=24)

    clock.pass_time(DAY)
    with clock.stage.between("commit", lambda: clock.define(overlap="allow", cron="0 8 * * *", prompt="new")):
        clock.look()
    clock.work()
    days(clock, 1, every_h=24)

    definition = stored(clock).definition
    assert definition is not None
    assert definition.prompt == "new"
    assert clock.states()[at(8, day=23)] == "dispatched"
    assert folded(clock) == stored(clock)


def test_a_trigger_with_as_many_long_ticks_as_may_wait_can_be_written_down(clock: Clockwork) -> None:
    name = "n" * 64
    clock.define(name, cron="* * * * *", misfire="all", catch_up_s=3 * 86_400, prompt='"\n' * 6000)
    clock.pass_time(30 * HOUR)
    clock.work()
    assert clock.triggers.show(name).open == MOST_OPEN

    # Until the first of them is too late nothing happens.
    clock.pass_time(50 * HOUR)
    clock.work()

    kept = clock.events("trigger.condensed", trigger=name)[-1]
    state = msgspec.json.decode(kept.decode(TriggerCondensed).state, type=TriggerState)
    assert len(state.open) == MOST_OPEN
    assert "processor.faulted" not in clock.stage.types(StreamId(f"schedule:{name}"))


def test_a_trigger_that_is_edited_twice_a_day_is_trimmed_all_the_same(clock: Clockwork) -> None:
    for edit in range(24):
        clock.define(overlap="allow", cron="0 */6 * * *", prompt=f"edit {edit}")
        clock.pass_time(12 * HOUR)
        clock.work()

    first = clock.events()[0]
    assert first.created_at >= clock.now - 9 * DAY, "what is edited often must not grow for ever"
