"""Stumbles over magic words in an input, as processors with a bug do: raises, hangs, takes the process down."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Sequence

import msgspec

from turnwright import Contract, Decision, Emit, Event, EventInput, Moment, Processor


class Said(msgspec.Struct, frozen=True):
    """What this processor reads of an input."""

    text: str


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """`brittle.seen`: the input at `offset` was survived, the `count`th."""

    offset: int
    count: int


class State(msgspec.Struct, frozen=True, kw_only=True):
    """How many inputs were survived."""

    count: int = 0


class Brittle(Processor[State]):
    """Emits one event per input that holds no magic word."""

    contract = Contract(
        name="brittle",
        version=1,
        consumes=frozenset({"input.received"}),
        emits=frozenset({"brittle.seen"}),
    )
    state = State

    def reduce(self, state: State, event: Event) -> State:
        """Count, or stumble."""
        text = event.decode(Said).text
        if "magic:raise" in text:
            raise ValueError("a word this processor can not bear")
        if "magic:hang" in text:
            threading.Event().wait()
        if "magic:die" in text:
            os.kill(os.getpid(), signal.SIGKILL)
        return State(count=state.count + 1)

    def react(self, state: State, event: Event, moment: Moment) -> Sequence[Decision]:
        """Say that the input was survived."""
        return (Emit(EventInput.of("brittle.seen", Seen(offset=event.offset, count=state.count))),)
