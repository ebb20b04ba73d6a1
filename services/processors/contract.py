"""What a processor is: a contract, a pure reducer, a reaction. Knows no store.

reduce folds every event into the state; react looks at one new event, with the state after all that
was read, and returns decisions. Both must be deterministic: they run again after a crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Generic, TypeVar

import msgspec

from services.streams.event import Event, EventInput, JobId, StreamId
from services.streams.keys import JobKind

S = TypeVar("S", bound=msgspec.Struct)
STATE_LIMIT = 64 * 1024
EVERYTHING = frozenset({"*"})


class Emit(msgspec.Struct, frozen=True):
    """Append an event to this stream. Its type must be among the contract's `emits`."""

    event: EventInput


class StartJob(msgspec.Struct, frozen=True, kw_only=True):
    """Owe work to the outside. `id` is `<stream>@<name>`, unique in the stream for ever; `tool` names the tool.

    A delivery waits for the earlier ones of this stream to the same `destination`, which names no address but
    tells destinations apart. `settle_ms`: how long what a dead holder sent may take to show up.
    """

    kind: JobKind
    id: JobId
    tool: str = ""
    destination: str = ""
    settle_ms: int = 0
    delay_ms: int = 0
    expires_ms: int = 3_600_000


class SettleJob(msgspec.Struct, frozen=True, kw_only=True):
    """End a job without its holder; `token` is the number of its claims so far.

    Of a delivery name the `destination` too, and whether people are to find it among those not delivered.
    The commit is refused, and the reaction repeated, when the job was claimed or settled meanwhile.
    """

    kind: JobKind
    id: JobId
    token: int
    destination: str = ""
    is_letter: bool = False


class CancelJob(msgspec.Struct, frozen=True):
    """Ask the holder of a running job to stop it and settle."""

    id: JobId


class AppendTo(msgspec.Struct, frozen=True):
    """Append an event to another stream, exactly once, in the order decided here."""

    stream: StreamId
    event: EventInput
    create: EventInput | None = None


Decision = Emit | StartJob | SettleJob | CancelJob | AppendTo


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when a reaction happens. `now_ms` is the store's time."""

    stream: StreamId
    now_ms: int


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """What a processor promises. Raise `version` whenever reduce changes: the state is folded anew.

    Events of the types `consumes` are reduced, those of `reacts` among them also reacted to; without `reacts` all.
    """

    name: str
    version: int
    consumes: frozenset[str]
    reacts: frozenset[str] = EVERYTHING
    emits: frozenset[str] = frozenset()

    def takes(self, type: str) -> bool:
        """Whether events of `type` reach the processor."""
        return type in self.consumes or self.consumes == EVERYTHING

    def answers(self, type: str) -> bool:
        """Whether events of `type`, once reduced, are reacted to."""
        return self.takes(type) and (type in self.reacts or self.reacts == EVERYTHING)


class Processor(Generic[S]):
    """Base of all processors. Subclass it, set `contract` and `state`, write `reduce` and `react`."""

    contract: ClassVar[Contract]
    state: type[S]

    def initial(self) -> S:
        """The state before the first event."""
        return self.state()

    def reduce(self, state: S, event: Event) -> S:
        """The state after `event`. Pure: no clock, no I/O, never mutates what others see."""
        return state

    def react(self, state: S, event: Event, moment: Moment) -> Sequence[Decision]:
        """What follows from `event`. `state` is what reducing everything read so far gave."""
        return ()

    def waiting(self, state: S) -> int:
        """How many inputs of the stream wait for this processor; bounds what is accepted."""
        return 0

    def wakes_at(self, state: S) -> int | None:
        """Epoch ms at which `on_time` wants to run; None for never."""
        return None

    def on_time(self, state: S, moment: Moment) -> Sequence[Decision]:
        """What follows from time having passed. Must move `wakes_at` on, through an event."""
        return ()
