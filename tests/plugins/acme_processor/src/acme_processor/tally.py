"""Counts the inputs of a session, and says so every third time: in its log, and in that of the tally stream."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from turnwright import AppendTo, Contract, Decision, Emit, Event, EventInput, Moment, Processor, StreamId

EVERY = 3
# Raised whenever reduce changes: states are then folded anew from the first event.
VERSION = 1
TOTALS = StreamId("app:tally-totals")


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """`tally.counted`: the session has `count` inputs now, the last of them at `offset`."""

    count: int
    offset: int


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """How the stream of all totals begins."""

    agent: str = "default"
    source: str = "app"


class State(msgspec.Struct, frozen=True, kw_only=True):
    """`told` is the count last told of: reacting again after a crash tells nothing twice."""

    count: int = 0
    told: int = 0


class Tally(Processor[State]):
    """The smallest useful processor: a state, an event, and an event for another stream."""

    contract = Contract(
        name="tally",
        version=VERSION,
        consumes=frozenset({"input.received", "tally.counted"}),
        emits=frozenset({"tally.counted"}),
    )
    state = State

    def reduce(self, state: State, event: Event) -> State:
        """Count inputs, and remember what was told."""
        if event.type == "tally.counted":
            return msgspec.structs.replace(state, told=event.decode(Counted).count)
        return msgspec.structs.replace(state, count=state.count + 1)

    def react(self, state: State, event: Event, moment: Moment) -> Sequence[Decision]:
        """Tell of the count when it passed a multiple of three."""
        if event.type != "input.received" or state.count // EVERY <= state.told // EVERY:
            return ()
        counted = EventInput.of("tally.counted", Counted(count=state.count, offset=event.offset))
        began = EventInput.of("stream.created", Created())
        return (Emit(counted), AppendTo(TOTALS, counted, create=began))
