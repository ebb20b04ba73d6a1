"""Bounded walks along one stream, page by page, in either direction."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from services.streams.event import Event, Offset, StreamId
from services.streams.log import Log
from services.streams.near import newest_first

SCAN_PAGE = 500
SCAN_LIMIT = 10_000


def forward(log: Log, stream: StreamId, *, after: Offset, page: int = SCAN_PAGE) -> Iterator[Event]:
    """The events after `after`, oldest first, at most about `SCAN_LIMIT` of them. Raises: Unavailable."""
    for _ in range(max(1, SCAN_LIMIT // page)):
        events = log.read(stream, after=after, limit=page)
        yield from events
        if len(events) < page:
            return
        after = events[-1].offset


def backward(log: Log, stream: StreamId, *, before: Offset, page: int = SCAN_PAGE) -> Iterator[Event]:
    """The events before `before`, newest first, at most `SCAN_LIMIT` of them. Raises: Unavailable."""
    return islice(newest_first(log, stream, before=before, page=page), SCAN_LIMIT)
