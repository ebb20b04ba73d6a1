"""The newest events of a stream, kept by who just read or wrote them, in front of the log.

A worker that goes on with what it committed need not read back what it holds in its hands.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Protocol

from services.streams.event import Event, Offset, StreamId

MOST_EVENTS = 128
MOST_BYTES = 256 * 1024


class Past(Protocol):
    """A stream's events, read backward. `Log` is one."""

    def read_back(self, stream: StreamId, *, before: Offset | None = None, limit: int = 100) -> list[Event]:
        """Events before `before` (or the head), newest first, at most `limit`; none once the start is reached."""

    def get(self, stream: StreamId, offset: Offset) -> Event | None:
        """The event at `offset`."""


class NearPast:
    """`past` with its newest events at hand: `events` are without holes and reach up to the head.

    A page may be shorter than its limit although older events follow.
    """

    def __init__(self, past: Past, events: Sequence[Event]) -> None:
        self._past, self._events = past, events

    def read_back(self, stream: StreamId, *, before: Offset | None = None, limit: int = 100) -> list[Event]:
        """See `Past`."""
        upto = len(self._events) if before is None else before - self._first()
        if self._events and upto > 0:
            return list(reversed(self._events[max(0, upto - limit) : upto]))
        return self._past.read_back(stream, before=before, limit=limit)

    def get(self, stream: StreamId, offset: Offset) -> Event | None:
        """See `Past`."""
        at = offset - self._first()
        return self._events[at] if 0 <= at < len(self._events) else self._past.get(stream, offset)

    def _first(self) -> Offset:
        return self._events[0].offset if self._events else 0


def newest_first(
    past: Past, stream: StreamId, *, before: Offset | None = None, page: int = 100
) -> Iterator[Event]:
    """The events before `before` (or all), newest first, read `page` by page. Raises: Unavailable."""
    while events := past.read_back(stream, before=before, limit=page):
        yield from events
        before = events[-1].offset


def back_from(offset: Offset) -> Offset | None:
    """Where to begin to read backward, so that `offset` comes first; the head for 0."""
    return offset + 1 if offset else None


def newest(*parts: Sequence[Event]) -> tuple[Event, ...]:
    """What to keep of consecutive `parts`: the newest events, few and small enough."""
    events = tuple(chain.from_iterable(parts))
    if len(events) <= MOST_EVENTS and sum(len(event.payload) for event in events) <= MOST_BYTES:
        return events
    kept: list[Event] = []
    room = MOST_BYTES
    for event in reversed(events):
        room -= len(event.payload)
        if room < 0 or len(kept) == MOST_EVENTS:
            break
        kept.append(event)
    return tuple(reversed(kept))
