"""A stream's past is read to its beginning, whatever of it is at hand."""

from __future__ import annotations

import msgspec
import pytest

from services.streams.event import Event, Offset, StreamId
from services.streams.near import NearPast, newest_first

S = StreamId("s")
EVENTS = [Event(offset=n, type="told", v=1, payload=msgspec.Raw(b"{}"), created_at=0) for n in range(1, 101)]


class Whole:
    """All of it."""

    def read_back(self, stream: StreamId, *, before: Offset | None = None, limit: int = 100) -> list[Event]:
        older = [each for each in EVENTS if before is None or each.offset < before]
        return older[::-1][:limit]

    def get(self, stream: StreamId, offset: Offset) -> Event | None:
        return EVENTS[offset - 1]


@pytest.mark.parametrize("near", [0, 1, 40, 60, 100])
def test_it_is_read_to_its_beginning(near: int) -> None:
    past = NearPast(Whole(), EVENTS[len(EVENTS) - near :])

    assert [each.offset for each in newest_first(past, S, page=40)] == list(range(100, 0, -1))
