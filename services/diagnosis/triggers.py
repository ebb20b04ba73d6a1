"""Which triggers stand still: parked ones, those whose due time nobody looked at, and those that never came to be.

Writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.config import TriggerConfig
from services.diagnosis.findings import Finding
from services.errors import Invalid
from services.schedule.checks import KnownPlaces
from services.schedule.index import Index
from services.schedule.known import known_of
from services.schedule.names import trigger_of
from services.schedule.processor import Schedule
from services.streams.keys import Keys
from services.streams.log import Log
from services.streams.store import Store

LATE_MS = 120_000
# Triggers that are named; of the others only how many there are is said.
NAMED = 5


def unanswerable(triggers: Sequence[TriggerConfig], places: KnownPlaces) -> Iterator[str]:
    """What keeps declared triggers from being defined: where they are to be answered, nobody can be."""
    for each in triggers:
        try:
            if each.answer_in:
                places.check(each.answer_in)
        except Invalid as error:
            yield f"trigger {each.id} is not in force: {error}"


def check_triggers(store: Store, keys: Keys) -> Iterator[Finding]:
    """Whether every trigger goes on by itself. Raises: Unavailable."""
    log = Log(store, keys)
    parked: list[str] = []
    late: list[str] = []
    for stream, known in known_of(log, Index(log).every()):
        state, wakes_at = known.state, Schedule().wakes_at(known.state)
        if known.stands and (state.definition is not None or state.open):
            parked.append(trigger_of(stream))
        elif wakes_at is not None and 0 < wakes_at < known.now - LATE_MS:
            late.append(trigger_of(stream))
    if parked:
        text = f"{_named(parked)} can not go on: `turnwright triggers show` says why, define it anew"
        yield Finding(part="triggers", state="warning", text=text)
    if late:
        text = f"nobody has looked at what {_named(late)} owes for minutes: are workers running?"
        yield Finding(part="triggers", state="warning", text=text)


def _named(triggers: Sequence[str]) -> str:
    more = len(triggers) - NAMED
    rest = f" and {more} more" if more > 0 else ""
    count = "trigger" if len(triggers) == 1 else "triggers"
    return f"{count} {', '.join(triggers[:NAMED])}{rest}"
