"""Taking webhooks in: believed, kept as they came and fsynced, then acknowledged. Nothing else waits here."""

from __future__ import annotations

from services.errors import NotFound, TooLarge
from services.ids import new_id
from services.inbound.contract import Answer, Arrived, Request, Source, Sources
from services.spool.entry import Entry
from services.spool.keeping import Keeper
from services.streams.event import EventInput
from services.streams.vocabulary import StreamCreated
from services.telemetry.counters import Counters


class SourceOff(Exception):
    """A source that takes no webhooks; `reason` names what is not set, and no secret."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} is off: {reason}")
        self.name, self.reason = name, reason


class Capture:
    """Gives what the `sources` send to `keeper`."""

    def __init__(self, keeper: Keeper, sources: Sources, counters: Counters) -> None:
        self._keeper, self._sources, self._counters = keeper, sources, counters

    def source(self, name: str) -> Source:
        """The source of that name. Raises: NotFound, SourceOff."""
        source = self._sources.get(name)
        if source is None:
            raise NotFound(f"source {name}")
        if source.off:
            raise SourceOff(name, source.off)
        return source

    def take(self, source: Source, request: Request) -> Answer | None:
        """Keep `request` once, however often it comes; what to answer, None: nothing.

        Raises: Unauthorized, Invalid, TooLarge, Overloaded, Unavailable.
        """
        if len(request.body) > source.most_bytes:
            raise TooLarge("a webhook", source.most_bytes)
        source.verify(request)
        arrived = source.read(request)
        if isinstance(arrived, Answer):
            return arrived
        self._keep(arrived, request.received_s)
        return Answer(body=arrived.answer) if arrived.answer else None

    def _keep(self, arrived: Arrived, received_s: float) -> None:
        # Without a key of the sender's a repeat is another delivery, but ours of this one must be none.
        key = arrived.key or f"request:{new_id()}"
        entry = Entry(
            stream=arrived.stream,
            event=EventInput.of("inbound.received", arrived.received, key=key),
            beginning=EventInput.of("stream.created", StreamCreated(source=arrived.received.source)),
            received_ms=int(received_s * 1000),
            answer_at=arrived.answer_at,
        )
        outcome = self._keeper.keep(entry)
        self._counters.add("turnwright_inbound_total", arrived.received.source, outcome)
