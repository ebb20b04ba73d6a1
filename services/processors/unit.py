"""One processor during one plan: its row, its state, and the faults it makes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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


# What a plugin raises in our hands, a wish to end the process included: it parks the plugin and ends nothing else.
RAISED = (Exception, SystemExit)
# Whole numbers that the store's scripts can hold.
MOST = 2**53


class Fault(Exception):
    """The processor `name` failed at the event `offset`; `error` is a safe word for how."""

    def __init__(self, name: str, offset: int, error: str) -> None:
        super().__init__(name)
        self.name, self.offset, self.error = name, offset, error


class Unit:
    """One processor during one plan. Whatever it does wrong is a Fault."""

    def __init__(self, processor: AnyProcessor, row: Row, state: msgspec.Struct, watch: Watch) -> None:
        self.processor = processor
        self.watch = watch
        self.name = processor.contract.name
        self.row = row
        self.state = state
        self.lagged = row.offset is not None
        self._encoded: bytes | None = None

    def takes(self, event: Event) -> bool:
        """Whether the event is for it."""
        return self.processor.contract.takes(event.type) and event.offset not in self.row.skips

    def answers(self, event: Event) -> bool:
        """Whether it reacts to an event that it takes."""
        return self.processor.contract.answers(event.type)

    def reduce(self, event: Event) -> None:
        """Fold one event that it takes. Raises: Fault."""
        self.watch(self.name, event.offset)
        self._encoded = None
        try:
            self.state = self.processor.reduce(self.state, event)
        except RAISED as error:
            raise Fault(self.name, event.offset, type(error).__name__) from error

    def react(self, event: Event, moment: Moment) -> Sequence[Decision]:
        """What follows from one event that it takes. Raises: Fault."""
        self.watch(self.name, event.offset)
        try:
            return self._checked(self.processor.react(self.state, event, moment), moment)
        except RAISED as error:
            raise Fault(self.name, event.offset, type(error).__name__) from error

    def on_time(self, moment: Moment, offset: int) -> tuple[int | None, Sequence[Decision]]:
        """When it wants to be woken, epoch ms, and what follows if that is past. Raises: Fault."""
        self.watch(self.name, offset)
        wakes = self.wakes_at(offset)
        if wakes is None or wakes > moment.now_ms:
            return wakes, ()
        try:
            return wakes, self._checked(self.processor.on_time(self.state, moment), moment)
        except RAISED as error:
            raise Fault(self.name, offset, type(error).__name__) from error

    def wakes_at(self, offset: int) -> int | None:
        """When it wants to be woken, epoch ms. Raises: Fault."""
        try:
            wakes = self.processor.wakes_at(self.state)
            return None if wakes is None else _whole(wakes)
        except RAISED as error:
            raise Fault(self.name, offset, type(error).__name__) from error

    def waiting(self, offset: int) -> int:
        """How many inputs wait for it. Raises: Fault."""
        try:
            return _whole(self.processor.waiting(self.state))
        except RAISED as error:
            raise Fault(self.name, offset, type(error).__name__) from error

    def _checked(self, given: Iterable[Decision], moment: Moment) -> Sequence[Decision]:
        if given == ():
            return ()
        # Gathered first: a reaction that yields its decisions gives them once.
        decisions = tuple(given)
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
                case other:
                    raise TypeError(f"{self.name} decided a {type(other).__name__}")
        return decisions

    def encode(self, offset: int) -> tuple[bytes, bytes]:
        """Row and state as they are stored. Raises: Fault."""
        if self._encoded is None:
            try:
                self._encoded = msgspec.json.encode(self.state)
            except RAISED as error:
                raise Fault(self.name, offset, type(error).__name__) from error
            if len(self._encoded) > STATE_LIMIT:
                raise Fault(self.name, offset, "StateTooLarge")
        return encode_row(self.row), self._encoded


def open_unit(processor: AnyProcessor, row: Row, raw: bytes | None, *, watch: Watch, offset: int) -> Unit:
    """A unit with the stored state `raw`, None: with the initial one. Raises: Fault, at `offset`."""
    try:
        state = processor.initial() if raw is None else msgspec.json.decode(raw, type=processor.state)
    except RAISED as error:
        raise Fault(processor.contract.name, offset, type(error).__name__) from error
    return Unit(processor, row, state, watch)


def _whole(given: object) -> int:
    if not isinstance(given, int) or not 0 <= given <= MOST:
        raise ValueError("not a whole number that the store can hold")
    return given


def check_readable(made: EventInput) -> None:
    """Refuse an event that could be committed and never be read again. Raises: ValueError."""
    if len(made.payload) > BODY_LIMIT:
        raise ValueError(f"{made.type} is larger than {BODY_LIMIT} bytes")
    # Both ways: what the encoder takes as it is, the decoder may refuse, and the fields' types with it.
    read = decode_entry(0, 0, made.encode())
    if not read.type or read.v < 1:
        raise ValueError("an event without a type or version")
    msgspec.json.decode(made.payload)
