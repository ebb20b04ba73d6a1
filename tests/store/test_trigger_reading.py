"""What people read of triggers, on a real store: up to the last event, and each tick on one page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.schedule.names import stream_of
from services.streams.event import EventInput
from services.streams.keys import Keys
from services.streams.schedule_events import TriggerFired
from tests.fakes.clockwork import Clockwork

STREAM = stream_of("nightly")


@pytest.fixture
def clock(store_url: str, keys: Keys) -> Iterator[Clockwork]:
    made = Clockwork(store_url, keys)
    yield made
    made.close()


def fire(clock: Clockwork, count: int) -> None:
    """At once, in one millisecond."""
    clock.log.append(STREAM, [EventInput.of("trigger.fired", TriggerFired())] * count)


def test_a_change_is_seen_behind_however_much_nobody_looked_at(clock: Clockwork) -> None:
    clock.define(prompt="old")
    for _ in range(3):
        fire(clock, 120)

    clock.define(prompt="new")

    shown = clock.triggers.show("nightly")
    assert shown.definition is not None
    assert shown.definition.prompt == "new"
    assert clock.triggers.known(STREAM).unread == 2


def test_times_that_were_passed_over_one_by_one_are_a_row_each(clock: Clockwork) -> None:
    clock.define(cron="* * * * *", tz="Australia/Lord_Howe", overlap="skip", misfire="all")
    clock.fire()
    clock.look()
    for _ in range(40):
        clock.pass_time(60_000)
        clock.look()

    rows = clock.rows()

    skipped = [one for one in rows.values() if one.reason == "overlap"]
    assert len(skipped) == 40
