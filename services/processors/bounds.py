"""What one commit may hold, so that no plan is made which no script takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.processors.contract import AppendTo
from services.streams.blobs import CALL_LIMIT, SMALL
from services.streams.event import EventInput

EMIT_LIMIT = 120
APPEND_LIMIT = 256 * 1024
STATES_LIMIT = 512 * 1024
# What a script takes is a little more: names and the header are not counted.
COMMIT_LIMIT = 1_050_000


class TooMany(Exception):
    """What was read leads to more than one commit holds; `name` is the processor it became too much with."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def check_decided(name: str, *, counts: Sequence[int], appends: Sequence[AppendTo]) -> None:
    """Bound the numbers of events, jobs and entries, and the bytes of entries. Raises: TooMany."""
    if max(counts) > EMIT_LIMIT or sum(len(one.event.payload) for one in appends) > APPEND_LIMIT:
        raise TooMany(name)


def check_weight(
    before: Mapping[str, bytes],
    after: Mapping[str, bytes],
    events: Sequence[EventInput],
    appends: Sequence[AppendTo],
) -> None:
    """Bound all bytes of a commit, states as fields `s:<name>` included. Raises: TooMany."""
    owed = sum(len(one.event.payload) for one in appends)
    if _all(before) + _all(after) + sum(len(one.payload) for one in events) + owed <= COMMIT_LIMIT:
        return
    states = {n: v for n, v in before.items() if n.startswith("s:")}
    weight = sum(map(len, states.values()))
    if events:
        weight += sum(len(v) for n, v in after.items() if n in states and v != states[n])
    weight += min(CALL_LIMIT + SMALL * len(events), sum(len(one.payload) for one in events))
    weight += owed
    if weight > COMMIT_LIMIT:
        raise TooMany(max(states, key=lambda name: len(states[name]))[2:])


def _all(fields: Mapping[str, bytes]) -> int:
    return sum(map(len, fields.values()))
