"""What triggers are at, read from the store: what workers folded of them, and what none of them looked at yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from services.errors import Defect
from services.processors.rows import Row, rows_of
from services.schedule.processor import Schedule
from services.schedule.state import TriggerState, is_far_ahead, reduce
from services.streams.entries import offset_of
from services.streams.event import Event, StreamId
from services.streams.log import Loaded, Log
from services.streams.store import translated
from services.streams.store_time import now_ms

_NAME = Schedule.contract.name
_STATE, _ROW = f"s:{_NAME}", f"p:{_NAME}"
_PAGE = 1000


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger's stream at one instant; `unread` counts definitions that nobody looked at yet.

    `fault`: why its processor stands still, where it does.
    """

    state: TriggerState
    head: int
    now: int
    unread: int
    fault: str = ""

    @property
    def stands(self) -> str:
        """Why it is due no more although it is defined, and not paused; empty where it goes on."""
        if self.state.definition is not None and is_far_ahead(self.state, self.now):
            until = datetime.fromtimestamp(self.state.after / 1000, UTC)
            return f"a clock was wrong: all is accounted for until {until:%Y-%m-%d}; define it again"
        return self.state.parked or self.fault


def known(log: Log, stream: StreamId) -> Known:
    """What all its events come to; a `head` of 0: it never was. Raises: Unavailable."""
    loaded = log.load(stream)
    state = _stored(loaded.fields.get(_STATE))
    row = _row(loaded.fields.get(_ROW))
    unread = 0
    for event in _unread(log, stream, loaded, row):
        state = reduce(state, event)
        unread += event.type == "trigger.defined"
    fault = _fault(row)
    return Known(state=state, head=loaded.head, now=loaded.now, unread=unread, fault=fault)


def known_of(log: Log, streams: Sequence[StreamId]) -> Iterator[tuple[StreamId, Known]]:
    """Many, in their order, the most of them in one go. Raises: Unavailable."""
    now = now_ms(log.store, log.keys)
    for start in range(0, len(streams), _PAGE):
        chunk = streams[start : start + _PAGE]
        with translated():
            pipe = log.store.client.pipeline(transaction=False)
            for stream in chunk:
                pipe.hmget(log.keys.meta(stream), "at", _STATE, _ROW)
                pipe.xrevrange(log.keys.log(stream), "+", "-", count=1)
            answers = pipe.execute()
        for stream, (at, raw, row), newest in zip(chunk, answers[::2], answers[1::2], strict=True):
            head = offset_of(newest[0][0]) if newest else 0
            if raw is None or int(at or 0) != head or _row(row).offset is not None:
                yield stream, known(log, stream)
            else:
                yield stream, Known(state=_stored(raw), head=head, now=now, unread=0)


def _unread(log: Log, stream: StreamId, loaded: Loaded, row: Row) -> Iterator[Event]:
    """Up to the head, however much that is: it is the head that a change is to follow."""
    page: Sequence[Event] = loaded.events
    if row.offset is not None and row.offset < loaded.at:
        # The processor stands further back than the stream's others.
        page = log.read(stream, after=row.offset, upto=loaded.head, limit=_PAGE)
    yield from page
    while page and page[-1].offset < loaded.head:
        page = log.read(stream, after=page[-1].offset, upto=loaded.head, limit=_PAGE)
        yield from page


def _row(raw: bytes | None) -> Row:
    return Row(version=0) if raw is None else rows_of({_ROW: raw})[_NAME]


def _fault(row: Row) -> str:
    return f"its processor {_NAME} stopped: {row.error}" if row.status == "parked" else ""


def _stored(raw: bytes | None) -> TriggerState:
    try:
        return TriggerState() if raw is None else msgspec.json.decode(raw, type=TriggerState)
    except msgspec.DecodeError as error:
        raise Defect("what a trigger is at can not be read") from error
