"""The circuit breaker: a stream that gains events far faster than allowed is paused, visibly.

Counts events per minute of their own time; a person's `stream.resumed` starts the count anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.processors.contract import EVERYTHING, Contract, Decision, Emit, Moment, Processor
from services.streams.event import Event, EventInput
from services.streams.vocabulary import StreamPaused

MINUTE_MS = 60_000
MINUTES = 10
REASON = "circuit_breaker"


class BreakerState(msgspec.Struct, frozen=True, kw_only=True):
    """Events of the last minutes: `minute` is the newest, `counts` go back from it."""

    minute: int = 0
    counts: tuple[int, ...] = ()
    is_open: bool = False


class Breaker(Processor[BreakerState]):
    """Allows `per_minute` events in the long run and `burst` beyond that within ten minutes."""

    contract = Contract(
        name="breaker",
        version=1,
        consumes=EVERYTHING,
        reacts=frozenset(),
        emits=frozenset({"stream.paused"}),
    )
    state = BreakerState

    def __init__(self, *, per_minute: int, burst: int) -> None:
        self._per_minute, self._burst = per_minute, burst

    def reduce(self, state: BreakerState, event: Event) -> BreakerState:
        """Count the event in its minute."""
        if event.type == "stream.resumed":
            return BreakerState()
        minute = max(state.minute, event.created_at // MINUTE_MS)
        gap = minute - state.minute if state.counts else 0
        counts = (*((0,) * min(gap, MINUTES)), *state.counts)[:MINUTES] or (0,)
        return BreakerState(
            minute=minute,
            counts=(counts[0] + 1, *counts[1:]),
            is_open=state.is_open or event.type == "stream.paused",
        )

    def wakes_at(self, state: BreakerState) -> int | None:
        """At once, when a window of minutes holds more than it may."""
        # No counts: the newest event read is the resumption that cleared them.
        if state.is_open or not state.counts or state.counts[0] <= self._per_minute:
            return None
        total = 0
        for minutes, count in enumerate(state.counts, start=1):
            total += count
            if total > self._burst + minutes * self._per_minute:
                return 0
        return None

    def on_time(self, state: BreakerState, moment: Moment) -> Sequence[Decision]:
        """Pause the stream."""
        return (Emit(EventInput.of("stream.paused", StreamPaused(reason=REASON, by="breaker"))),)
