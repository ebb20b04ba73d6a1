"""Lineage: a new child stream is announced to every ancestor, one step at a time."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.processors.contract import AppendTo, Contract, Decision, Moment, Processor
from services.streams.event import Event, EventInput, StreamId
from services.streams.vocabulary import ChildCreated, StreamCreated


class LineageState(msgspec.Struct, frozen=True, kw_only=True):
    """The parent of this stream, and how many descendants it was told of."""

    parent: str | None = None
    descendants: int = 0


class Lineage(Processor[LineageState]):
    """Tells the parent about this stream, and passes on what children tell. One key per descendant: a
    repeat, or a circle of parents, ends where it was heard before."""

    contract = Contract(
        name="lineage", version=1, consumes=frozenset({"stream.created", "stream.child_created"})
    )
    state = LineageState

    def reduce(self, state: LineageState, event: Event) -> LineageState:
        """Remember the parent, count descendants."""
        if event.type == "stream.created":
            return msgspec.structs.replace(state, parent=event.decode(StreamCreated).parent)
        return msgspec.structs.replace(state, descendants=state.descendants + 1)

    def react(self, state: LineageState, event: Event, moment: Moment) -> Sequence[Decision]:
        """Tell the parent."""
        if state.parent is None:
            return ()
        if event.type == "stream.created":
            news = ChildCreated(child=moment.stream, parent=state.parent)
        else:
            news = event.decode(ChildCreated)
        made = EventInput.of("stream.child_created", news, key=f"stream.child_created:{news.child}")
        return (AppendTo(StreamId(state.parent), made),)
