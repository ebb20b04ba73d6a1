"""What people read of triggers, on a real store: up to the last event, and each tick on one page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from services.errors import Invalid
from services.processors.contract import Decision, Moment
from services.schedule.names import stream_of
from services.schedule.processor import Schedule
from services.schedule.state import TriggerState
from services.streams.event import Event, EventInput
from services.streams.keys import Keys
from services.streams.schedule_events import TriggerFired
from tests.fakes.clockwork import HOUR, Clockwork

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


def test_a_trigger_whose_session_belongs_to_another_agent_is_refused_when_it_is_defined(
    clock: Clockwork,
) -> None:
    clock.define(session="one")
    clock.pass_time(HOUR)
    clock.work()

    with pytest.raises(Invalid) as refused:
        clock.define(session="one", agent="poet")

    assert refused.value.field == "agent"
    clock.define(session="each", agent="poet")


def test_what_could_be_written_and_never_be_read_again_is_refused(clock: Clockwork) -> None:
    with pytest.raises(Invalid) as refused:
        clock.define(cron=f"{'1,' * 100}1 * * * *")

    assert refused.value.field == "cron"


class Fragile(Schedule):
    """Fails where a trigger is fired."""

    def react(self, state: TriggerState, event: Event, moment: Moment) -> Sequence[Decision]:
        """See `Processor.react`."""
        raise RuntimeError("never")


def test_a_trigger_whose_processor_failed_says_so_and_what_it_was_told_since(
    store_url: str, keys: Keys
) -> None:
    clock = Clockwork(store_url, keys, schedule=Fragile())
    clock.define(prompt="old")
    clock.work()
    clock.fire()
    clock.work()
    clock.define(prompt="new")
    clock.work()

    shown = clock.triggers.show("nightly")
    assert clock.triggers.page().triggers == (shown,)
    assert (shown.status, shown.next) == ("parked", None)
    assert shown.reason == "its processor schedule stopped: RuntimeError"
    assert shown.definition is not None
    assert shown.definition.prompt == "new"
    head = shown.head
    clock.define(prompt="new")
    assert clock.triggers.show("nightly").head == head
    clock.close()
