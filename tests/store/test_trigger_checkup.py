"""What `doctor`, the list and the counts say of triggers that stand still, are late, or are well."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.diagnosis.triggers import check_triggers
from services.jobs.observer import Observer
from services.schedule.processor import Schedule
from services.streams.event import EventInput, StreamId
from services.streams.keys import Keys
from services.streams.schedule_events import Definition, TriggerDefined
from services.telemetry.counters import Counters, Series
from services.telemetry.tracer import NoTracer
from tests.fakes.clockwork import DAY, HOUR, MINUTE, Clockwork, at

STREAM = StreamId("schedule:nightly")


class Breaking(Schedule):
    """A release with a defect that only shows when something is due."""

    def on_time(self, state: object, moment: object) -> tuple[()]:
        """See `Schedule.on_time`."""
        raise ZeroDivisionError


@pytest.fixture
def clock(store_url: str, keys: Keys) -> Iterator[Clockwork]:
    made = Clockwork(store_url, keys)
    yield made
    made.close()


def told(clock: Clockwork) -> list[str]:
    found = list(check_triggers(clock.stage.store, clock.stage.keys))
    assert all((each.part, each.state) == ("triggers", "warning") for each in found)
    return [each.text for each in found]


def unreadable(clock: Clockwork, trigger: str = "nightly") -> None:
    """An older release, or another database of time zones, took what this one can not read."""
    given = TriggerDefined(definition=Definition(prompt="go", cron="0 * * * *", tz="Mars/Base"))
    clock.log.append(StreamId(f"schedule:{trigger}"), [EventInput.of("trigger.defined", given)])


def test_nothing_is_said_of_triggers_that_are_well(clock: Clockwork) -> None:
    clock.define()
    clock.define("paused", paused=True)
    clock.define("gone")
    clock.triggers.remove("gone")
    clock.pass_time(HOUR)
    clock.work()

    assert told(clock) == []


def test_a_trigger_that_can_not_be_read_is_parked_for_all_to_see(clock: Clockwork) -> None:
    clock.define()
    unreadable(clock)
    clock.work()

    shown = clock.triggers.show("nightly")
    assert (shown.status, shown.next) == ("parked", None)
    assert "time zone" in shown.reason
    assert [each.status for each in clock.triggers.page().triggers] == ["parked"]
    assert told(clock) == [
        "trigger nightly can not go on: `turnwright triggers show` says why, define it anew"
    ]
    clock.pass_time(HOUR)
    clock.work()
    assert clock.stage.due_ids("advance") == {}, "what is parked must not be looked at again and again"


def test_a_parked_trigger_goes_on_when_it_is_defined_anew(clock: Clockwork) -> None:
    clock.define()
    unreadable(clock)
    clock.work()
    clock.pass_time(HOUR)

    clock.define()
    clock.work()
    clock.pass_time(HOUR)
    clock.work()

    assert clock.triggers.show("nightly").status == "active"
    assert clock.states()[at(11)] == "dispatched"
    assert told(clock) == []


def test_a_few_of_many_parked_triggers_are_named(clock: Clockwork) -> None:
    for number in range(7):
        clock.define(f"t{number}")
        unreadable(clock, f"t{number}")
    clock.work()

    assert told(clock)[0].startswith("triggers t0, t1, t2, t3, t4 and 2 more can not go on")


def test_a_due_time_that_nobody_looked_at_for_minutes_is_said(clock: Clockwork) -> None:
    clock.define()
    clock.work()
    clock.pass_time(HOUR)
    assert told(clock) == []

    clock.pass_time(3 * MINUTE)

    assert told(clock) == ["nobody has looked at what trigger nightly owes for minutes: are workers running?"]
    clock.work()
    assert told(clock) == []


def test_a_trigger_whose_processor_stopped_says_so(clock: Clockwork, store_url: str) -> None:
    clock.define()
    clock.work()
    broken = Clockwork(store_url, clock.stage.keys, schedule=Breaking(), beside=clock)
    broken.pass_time(HOUR)
    broken.look()
    broken.close()

    shown = clock.triggers.show("nightly")
    assert (shown.status, shown.reason) == ("parked", "its processor schedule stopped: ZeroDivisionError")
    assert len(told(clock)) == 1
    assert [row.reason for row in clock.rows().values()] == ["nobody_looked_yet"]


def test_ticks_are_counted_by_their_end_and_by_how_late_they_were(clock: Clockwork) -> None:
    counters = Counters()
    observer = Observer(NoTracer(), counters)
    clock.heard.append(observer.committed)
    clock.define(misfire="all", overlap="allow")
    clock.pass_time(3 * HOUR)
    clock.work()

    assert counters.totals()[Series("turnwright_ticks_total", ("dispatched",))] == 3
    (late,) = counters.times("turnwright_tick_late_seconds").values()
    assert sum(late[:-1]) == 3
    assert 3 * HOUR < late[-1] / 1000 < 3 * HOUR + MINUTE, "two hours, one hour and nearly none"


def test_a_trigger_that_a_wrong_clock_led_far_ahead_says_so_until_it_is_defined_again(
    clock: Clockwork,
) -> None:
    clock.define(overlap="allow")
    clock.work()
    clock.pass_time(400 * DAY)
    clock.work()
    clock.pass_time(-400 * DAY)

    shown = clock.triggers.show("nightly")
    assert (shown.status, shown.next) == ("parked", None)
    assert shown.reason.startswith("a clock was wrong: all is accounted for until 2027-12-2")
    assert len(told(clock)) == 1
    clock.define(overlap="allow")

    assert clock.triggers.show("nightly").status == "active"
    assert told(clock) == []
    clock.pass_time(HOUR)
    clock.work()
    assert clock.rows()[at(10)].state == "dispatched"


def test_a_trigger_that_waits_for_its_time_is_queued_only_once_it_has_come(clock: Clockwork) -> None:
    due = clock.stage.due
    clock.define()
    assert due.ripe(clock.now)["advance"] == 1
    clock.work()
    assert (due.ripe(clock.now)["advance"], due.sizes()["advance"]) == (0, 1)

    clock.pass_time(HOUR)

    assert due.ripe(clock.now)["advance"] == 1
