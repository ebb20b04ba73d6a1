"""What a worker holds in its hands and what the log holds read like one stream."""

from __future__ import annotations

import pytest

from services.streams.event import EventInput, StreamId
from services.streams.near import NearPast, newest_first
from services.streams.vocabulary import InputReceived
from tests.fakes.store_stage import Stage

STREAM = StreamId("app:near")
COUNT = 30


@pytest.mark.parametrize("at_hand", [0, 1, 7, COUNT])
@pytest.mark.parametrize("page", [1, 4, 100])
def test_a_stream_is_read_back_to_its_start_whatever_of_it_is_at_hand(
    stage: Stage, at_hand: int, page: int
) -> None:
    said = [EventInput.of("input.received", InputReceived(text=str(n))) for n in range(COUNT)]
    stage.log.append(STREAM, said)
    events = stage.log.read(STREAM)

    past = NearPast(stage.log, events[COUNT - at_hand :])

    assert list(newest_first(past, STREAM, page=page)) == events[::-1]
    assert [past.get(STREAM, n) for n in range(1, COUNT + 1)] == events
