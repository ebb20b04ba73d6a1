"""The refold test: folding a stream from its first event gives what is stored, for every processor."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import msgspec

from services.processors.rows import Row, rows_of
from services.processors.unit import AnyProcessor
from services.schedule.index import Index
from services.streams.event import Event, StreamId
from services.streams.keys import Keys
from services.streams.log import Log
from services.streams.store import Store


def assert_refolds(store_url: str, processors: Sequence[AnyProcessor]) -> int:
    """Fold every stream of a store anew and compare; how many states were compared."""
    compared = 0
    with closing(Store(store_url)) as store:
        log = Log(store, Keys())
        streams = [stream for stream, _ in log.recent(limit=10_000)]
        for stream in (*streams, *Index(log).every()):
            compared += _check(log, stream, processors)
    return compared


def _check(log: Log, stream: StreamId, processors: Sequence[AnyProcessor]) -> int:
    loaded = log.load(stream, limit=0)
    rows = rows_of(loaded.fields)
    events = [event for event in log.read(stream, after=0, limit=100_000) if event.offset <= loaded.at]
    compared = 0
    for processor in processors:
        row = rows.get(processor.contract.name)
        if row is None or row.status != "ok" or row.offset is not None:
            continue
        stored = msgspec.json.decode(loaded.fields[f"s:{processor.contract.name}"])
        folded = msgspec.json.decode(msgspec.json.encode(_fold(processor, row, events)))
        assert folded == stored, f"{processor.contract.name} of {stream} at {loaded.at}: {folded} != {stored}"
        compared += 1
    return compared


def _fold(processor: AnyProcessor, row: Row, events: Sequence[Event]) -> msgspec.Struct:
    state: msgspec.Struct = processor.initial()
    for event in events:
        if event.offset not in row.skips and processor.contract.takes(event.type):
            state = processor.reduce(state, event)
    return state
