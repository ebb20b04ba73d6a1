"""The circuit breaker: what it counts, when it pauses, how a person starts it anew."""

from __future__ import annotations

from services.processors.breaker import REASON, Breaker
from services.processors.contract import Decision, Emit, Moment
from services.streams.event import Event, EventInput, StreamId
from services.streams.vocabulary import Payload, StreamPaused, StreamResumed

MINUTE_MS = 60_000
MOMENT = Moment(stream=StreamId("app:flood"), now_ms=MINUTE_MS)
FLOOD = [("input.received", Payload())] * 15


def react_to(*events: tuple[str, Payload]) -> list[Decision]:
    """What a breaker that allows 10 a minute decides when it reads all of `events` at once."""
    breaker = Breaker(per_minute=10, burst=0)
    state = breaker.initial()
    read: list[Event] = [
        EventInput.of(type, payload).at(offset, MINUTE_MS) for offset, (type, payload) in enumerate(events, 1)
    ]
    for event in read:
        state = breaker.reduce(state, event)
    return [decision for event in read for decision in breaker.react(state, event, MOMENT)]


def test_more_events_in_a_minute_than_allowed_pause_the_stream() -> None:
    decisions = react_to(*FLOOD)

    assert isinstance(decisions[0], Emit)
    assert decisions[0].event.type == "stream.paused"
    assert StreamPaused(reason=REASON, by="breaker") == _payload(decisions[0])


def test_as_many_events_as_allowed_pause_nothing() -> None:
    assert react_to(*FLOOD[:10]) == []


def test_a_resumption_starts_the_count_anew() -> None:
    assert react_to(*FLOOD, ("stream.resumed", StreamResumed()), *FLOOD[:10]) == []


def test_a_resumption_that_is_the_newest_event_is_nothing_to_react_to() -> None:
    assert react_to(*FLOOD, ("stream.resumed", StreamResumed())) == []


def _payload(decision: Emit) -> StreamPaused:
    return decision.event.at(1, 0).decode(StreamPaused)
