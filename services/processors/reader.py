"""Reading a stream for a plan: its row, what is unread, and what laggards have missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from services.processors.plan import Reading
from services.processors.registry import ProcessorRegistry
from services.processors.rows import Row, rows_of
from services.processors.unit import AnyProcessor
from services.streams.event import Event, StreamId
from services.streams.log import Loaded, Log
from services.streams.vocabulary import ProcessorAttached

CHUNK = 500


class Reader:
    """Reads the streams of one log for the processors of one registry. Writes nothing."""

    def __init__(self, log: Log, registry: ProcessorRegistry) -> None:
        self._log, self._registry = log, registry

    def load(self, stream: StreamId, loaded: Loaded | None = None) -> Loaded:
        """The stream, or as it was `loaded` just now; paged on until everything its processors wrote themselves is
        read. Raises: Unavailable."""
        loaded = loaded or self._log.load(stream)
        events = list(loaded.events)
        while events and events[-1].offset < min(loaded.own[1], loaded.head):
            events += self._log.read(stream, after=events[-1].offset, limit=CHUNK)
        return msgspec.structs.replace(loaded, events=events)

    def reading(
        self, stream: StreamId, loaded: Loaded, events: Sequence[Event]
    ) -> tuple[Reading, list[AnyProcessor]]:
        """What a plan over `events` starts from, and who takes part in it. Raises: Unavailable."""
        rows = rows_of(loaded.fields)
        attached = [e.decode(ProcessorAttached).name for e in events if e.type == "processor.attached"]
        attached += self._registry.begun(rows, events)
        processors = self._registry.of(stream, rows, attached)
        versions = {p.contract.name: p.contract.version for p in processors}
        reading = Reading(
            stream=stream,
            at=loaded.at,
            own=loaded.own,
            rows=rows,
            states={n[2:]: v for n, v in loaded.fields.items() if n.startswith("s:")},
            events=events,
            lagging={
                name: self._missed(stream, row, versions[name], loaded.at)
                for name, row in self._laggards(rows, versions, loaded.at)
            },
            now_ms=loaded.now,
        )
        return reading, processors

    def _laggards(
        self, rows: Mapping[str, Row], versions: Mapping[str, int], at: int
    ) -> list[tuple[str, Row]]:
        fresh = Row(version=0, offset=0)
        found = [(name, rows.get(name, fresh)) for name in versions]
        return [
            (name, row)
            for name, row in found
            if at and row.status == "ok" and (row.offset is not None or row.version < versions[name])
        ]

    def _missed(self, stream: StreamId, row: Row, version: int, at: int) -> list[Event]:
        start = 0 if row.version < version or row.offset is None else row.offset
        return [e for e in self._log.read(stream, after=start, limit=CHUNK) if e.offset <= at]
