"""What the threads of a worker are busy with: since when, in which slot, with which job in hand."""

from __future__ import annotations

import threading
import time

from services.jobs.slots import Slots
from services.streams.event import JobId
from services.streams.keys import JobKind
from services.telemetry.tracer import Span

# So many threads reduce while every model slot is taken, and none was given back for a while: they leave the requests
# that follow to others, which costs both. One that takes long no longer counts: it may hang.
SLOTLESS = 3
JAM_S = 0.1
SOON_S = 1.0


class Errand:
    """One thread's errand. `jobs` are in hand: each from before it is claimed, at least until it is settled."""

    def __init__(self, errands: Errands, slots: Slots, span: Span | None = None) -> None:
        self._errands = errands
        self._slots = slots
        self._span = span
        self._slot: JobKind | None = None
        self.jobs: frozenset[JobId] = frozenset()

    def reserve(self, job: JobId, kind: JobKind) -> bool:
        """Take a slot for outside work and `job` in hand; False when no slot of that kind is free."""
        is_ours = self._slots.reserve(kind) if self._slot is None else self._slots.change(self._slot, kind)
        if is_ours:
            self._slot = kind
            self.jobs |= {job}
        return is_ours

    def reduces(self) -> None:
        """A reduction begins: from here on the watchdog looks."""
        self._errands.reducing[threading.get_ident()] = time.monotonic()

    def may_reduce(self) -> bool:
        """Take a slot before a reduction, for the model request that mostly follows: who has it claims the request in
        the same step and goes on. While all are taken only a few threads leave requests to others."""
        if self._slot is not None:
            return True
        if self._slots.reserve("llm"):
            self._slot = "llm"
            return True
        return self._errands.enter_slotless(self)

    def waits(self) -> None:
        """The reduction is over; what follows may take long, and no span stays open for it."""
        self._errands.reducing.pop(threading.get_ident(), None)
        if self._span is not None:
            self._span.end()

    def fails(self, error: BaseException) -> None:
        """What was hinted could not be done."""
        if self._span is not None:
            self._span.fail(type(error).__name__)

    def close(self) -> None:
        """Give everything back."""
        self.waits()
        if self._slot is not None:
            self._slots.release(self._slot)
            self._slot = None
        self._errands.forget(self)


class Errands:
    """The errands of one process. `reducing` tells for each thread since when (monotonic) it reduces."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._open: dict[int, Errand] = {}
        self.reducing: dict[int, float] = {}
        self._slotless: dict[int, float] = {}
        self._lock = threading.Lock()

    def has_room(self) -> bool:
        """Whether one more thread may reduce, with a slot or without."""
        return self._slots.has_room("llm") or self._has_room_without()

    def enter_slotless(self, errand: Errand) -> bool:
        """Reduce without a slot, if one more may."""
        with self._lock:
            if not self._has_room_without():
                return False
            self._slotless[id(errand)] = time.monotonic()
            return True

    def _has_room_without(self) -> bool:
        if self._slots.still_s < JAM_S:
            return False
        now = time.monotonic()
        return sum(now - since < SOON_S for since in list(self._slotless.values())) < SLOTLESS

    def begin(self, span: Span | None = None) -> Errand:
        """A new errand of the calling thread, under the `span` of a hint. Close it."""
        errand = Errand(self, self._slots, span)
        self._open[id(errand)] = errand
        return errand

    def forget(self, errand: Errand) -> None:
        """The errand is over."""
        self._open.pop(id(errand), None)
        self._slotless.pop(id(errand), None)

    def in_hand(self) -> frozenset[JobId]:
        """The jobs that threads of this process work on, or are about to claim."""
        return frozenset().union(*(each.jobs for each in list(self._open.values())))
