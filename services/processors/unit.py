"""One processor during one plan: its row, its state, and the faults it makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from services.processors.contract import (
    STATE_LIMIT,
    AppendTo,
    CancelJob,
    Decision,
    Emit,
    Moment,
    Processor,
    SettleJob,
    StartJob,
)
from services.processors.rows import Row, encode_row
from services.streams.blobs import BODY_LIMIT
from services.streams.event import Event, EventInput, decode_entry
from services.streams.keys import stream_of

AnyProcessor = Processor[Any]  # each has a state type of its own, known to itself only
Watch = Callable[[str, int], None]
"""Hears the name of the processor that is about to run, and the offset of the event it is given."""


def watch_nothing(name: str, offset: int) -> None:
    """The watch of an ordinary run."""


class Fault(Exception):
    def __init__(self, name: str, offset: int, error: str) -> None:
        super().__init__(name)
        self.name, self.offset, self.error = name, offset, error


class Unit:
    """One processor during one plan."""

    def __init__(self, processor: AnyProcessor, row: Row, state: msgspec.Struct, watch: Watch) -> None:
        self.processor = processor
        self.watch = watch
        self.name = processor.contract.name
        self.row = row
        self.state = state
        self.pending: dict[int, Event] = {}
        self.lagged = row.offset is not None

    def reduce(self, event: Event) -> None:
        if event.offset in self.row.skips or not self.processor.contract.takes(event.type):
            return
        self.watch(self.name, event.offset)
        try:
            self.state = self.processor.reduce(self.state, event)
        except (Exception, SystemExit) as error:
            raise Fault(self.name, event.offset, type(error).__name__) from error

    def react(self, event: Event, moment: Moment) -> Sequence[Decision]:
        if event.offset in self.row.skips or not self.processor.contract.takes(event.type):
            return ()
        self.watch(self.name, event.offset)
        try:
            return self._checked(self.processor.react(self.state, event, moment), moment)
        except (Exception, SystemExit) as error:
            raise Fault(self.name, event.offset, type(error).__name__) from error

    def on_time(self, moment: Moment, offset: int) -> Sequence[Decision]:
        self.watch(self.name, offset)
        try:
            wakes = self.processor.wakes_at(self.state)
            if wakes is None or wakes > moment.now_ms:
                return ()
            return self._checked(self.processor.on_time(self.state, moment), moment)
        except (Exception, SystemExit) as error:
            raise Fault(self.name, offset, type(error).__name__) from error

    def _checked(self, decisions: Sequence[Decision], moment: Moment) -> Sequence[Decision]:
        for one in decisions:
            match one:
                case Emit(event=made):
                    if made.type not in self.processor.contract.emits:
                        raise ValueError(f"{self.name} emitted {made.type}, which is not in its contract")
                    check_readable(made)
                case AppendTo(event=made, create=first):
                    check_readable(made)
                    if first is not None:
                        check_readable(first)
                case StartJob(id=job) | SettleJob(id=job) | CancelJob(id=job):
                    if stream_of(job) != moment.stream:
                        raise ValueError(f"{self.name} named a job of another stream")
        return decisions

    def encode(self, offset: int) -> tuple[bytes, bytes]:
        state = msgspec.json.encode(self.state)
        if len(state) > STATE_LIMIT:
            raise Fault(self.name, offset, "StateTooLarge")
        return encode_row(self.row), state


def check_readable(made: EventInput) -> None:
    """Refuse an event that could be committed and never be read again. Raises: ValueError."""
    if len(made.payload) > BODY_LIMIT:
        raise ValueError(f"{made.type} is larger than {BODY_LIMIT} bytes")
    # Both ways: what the encoder takes as it is, the decoder may refuse, and the fields' types with it.
    read = decode_entry(0, 0, made.encode())
    if not read.type or read.v < 1:
        raise ValueError("an event without a type or version")
    msgspec.json.decode(made.payload)
