"""One commit is bounded: what wants more is planned in parts, and a processor that can not is parked."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from services.processors.plan import Plan, Reading
from services.processors.planning import plan
from services.streams.event import Event, EventInput, StreamId
from services.streams.vocabulary import ProcessorFaulted
from tests.fakes.puppet import Puppet, Told, tell
from tests.fakes.routing import Route, Router

S = StreamId("s")


def planned(*told: Told) -> Plan:
    """The plan of a stream that says this."""
    events: Sequence[Event] = [tell(one).at(n, 1000) for n, one in enumerate(told, 1)]
    reading = Reading(stream=S, at=0, own=(0, 0), rows={}, states={}, events=events, lagging={}, now_ms=1000)
    return plan(reading, [Puppet()])


def faults(made: Plan) -> list[ProcessorFaulted]:
    """Who was parked."""
    found = [one for one in made.events if one.type == "processor.faulted"]
    return [msgspec.json.decode(one.payload, type=ProcessorFaulted) for one in found]


def test_reactions_that_are_too_much_for_one_commit_are_planned_in_parts() -> None:
    made = planned(*[Told(emit=49)] * 8)

    assert (made.read_to, len(made.events)) == (2, 100)
    assert faults(made) == []


@pytest.mark.parametrize(
    "told",
    [
        Told(emit=130),
        Told(jobs=tuple(f"llm:{n}" for n in range(130))),
        Told(to=tuple(f"t{n}" for n in range(130))),
    ],
    ids=["events", "jobs", "entries for other streams"],
)
def test_a_processor_whose_one_reaction_is_too_much_is_parked(told: Told) -> None:
    [fault] = faults(planned(told))

    assert (fault.name, fault.offset, fault.error) == ("puppet", 1, "TooManyEvents")


def test_entries_for_other_streams_are_bounded_in_bytes_too() -> None:
    said = msgspec.json.encode(Route("t", "x" * 300_000))
    events = [EventInput(type="route", payload=msgspec.Raw(said)).at(1, 1000)]
    reading = Reading(stream=S, at=0, own=(0, 0), rows={}, states={}, events=events, lagging={}, now_ms=1000)

    [fault] = faults(plan(reading, [Router()]))

    assert fault.error == "TooManyEvents"
