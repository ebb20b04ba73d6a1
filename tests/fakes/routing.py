"""A processor that passes inputs on to other streams, as the router of a channel does."""

from __future__ import annotations

import msgspec

from services.processors.contract import AppendTo, Contract, Decision, Moment, Processor
from services.streams.event import Event, EventInput, StreamId
from services.streams.vocabulary import InputReceived
from tests.fakes.puppet import CREATED


class Route(msgspec.Struct, frozen=True):
    """Where to say what."""

    to: str
    text: str
    creates: bool = True
    key: str | None = None


class Nothing(msgspec.Struct, frozen=True):
    """No state."""


class Router(Processor[Nothing]):
    """Passes inputs on as a channel's router does."""

    contract = Contract(name="router", version=1, consumes=frozenset({"route"}))
    state = Nothing

    def react(self, state: Nothing, event: Event, moment: Moment) -> list[Decision]:
        """Queue what it says."""
        route = event.decode(Route)
        said = EventInput.of("input.received", InputReceived(text=route.text), key=route.key)
        return [AppendTo(StreamId(route.to), said, create=CREATED if route.creates else None)]
