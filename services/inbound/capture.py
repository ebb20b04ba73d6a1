"""Taking webhooks in: believed, kept as they came and fsynced, then acknowledged. Nothing else waits here."""

from __future__ import annotations

from services.errors import NotFound, TooLarge
from services.inbound.answering import Answering
from services.inbound.contract import Answer, Arrived, Request, Source, Sources
from services.streams.event import EventInput
from services.streams.log import Log
from services.streams.vocabulary import StreamCreated
from services.telemetry.counters import Counters


class SourceOff(Exception):
    """A source that takes no webhooks; `reason` names what is not set, and no secret."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} is off: {reason}")
        self.name, self.reason = name, reason


class Capture:
    """Keeps what the `sources` send in `log`."""

    def __init__(self, log: Log, sources: Sources, counters: Counters) -> None:
        self._log, self._sources, self._counters = log, sources, counters
        self._answering = Answering(log.store, log.keys)

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
        self._keep(arrived)
        return Answer(body=arrived.answer) if arrived.answer else None

    def _keep(self, arrived: Arrived) -> None:
        event = EventInput.of("inbound.received", arrived.received, key=arrived.key or None)
        if arrived.answer_at:
            # First this: whoever acts on the delivery finds it.
            self._answering.keep(arrived.stream, arrived.key, arrived.answer_at)
        created = StreamCreated(source=arrived.received.source)
        done = self._log.append(
            arrived.stream,
            [event],
            create=EventInput.of("stream.created", created),
            existing_wins=True,
            guarded=True,
        )
        outcome = "duplicate" if done.duplicates[0] else "kept"
        self._counters.add("turnwright_inbound_total", arrived.received.source, outcome)
