"""Bounded walks, page by page: along one stream in either direction, and over all by their newest activity."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from services.errors import Invalid
from services.streams.event import Event, Offset, StreamId
from services.streams.log import Log
from services.streams.near import newest_first

SCAN_PAGE = 500
SCAN_LIMIT = 10_000

_cursor = re.compile(r"(\d{1,15})@([A-Za-z0-9._:-]{1,200})")


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


def recent(log: Log, place: tuple[int, str] | None, size: int) -> list[tuple[StreamId, int]]:
    """`size` streams and when something was last appended, the newest first, those behind a place.

    Raises: Unavailable.
    """
    if place is None:
        return log.recent(limit=size)
    same = size
    while True:
        page = log.recent(before_ms=place[0] + 1, limit=same)
        rest = [(stream, at) for stream, at in page if (-at, stream) > (-place[0], place[1])]
        if len(rest) >= size or len(page) < same:
            return rest[:size]
        same += size


def place_of(cursor: str) -> tuple[int, str]:
    """The place that a page of streams gave. Raises: Invalid."""
    found = _cursor.fullmatch(cursor)
    if found is None:
        raise Invalid("cursor", "is not one that a page gave")
    return int(found.group(1)), found.group(2)
