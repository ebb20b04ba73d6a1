"""Wake-up: telling workers where to look, as soon as possible and never relied upon.

Hints are published by one thread, off everybody's path, merged and bounded: busy workers find by themselves
what is due. What falls due soon gets a local timer. Switched off, everything still happens, found by the relays.
"""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from services.jobs.room import Room
from services.streams.keys import Keys, Kind
from services.telemetry.context import Trace, current
from services.telemetry.counters import Counters

NEAR_MS = 2_000
FLUSH = 200
MOST_WAITING = 10_000
# Of what no worker could follow now so many wait here, and look again after so long.
MOST_HELD = 16
HOLD_S = 0.05
SAME_S = 0.05


class Hint(msgspec.Struct, frozen=True):
    """Look here now. `id` is a stream for `advance` and `deliver`, a job for `llm` and `tool`.

    `cause` is what it follows from; None for what a relay found.
    """

    kind: Kind
    shard: int
    id: str
    cause: Trace | None = None


Look = tuple[Kind, str]


class HintPort(Protocol):
    """Where hints go. Filled by the composition with the broker."""

    def publish(self, hints: Sequence[Hint]) -> None:
        """Send them, best effort, bounded in time. Raises: Unavailable; losing them costs latency only."""

    def backlog(self, kind: Kind) -> int:
        """How many hints of a kind nobody has picked up yet."""


class Wake:
    """One per process. `free` says how many slots all workers have free; None when unknown."""

    def __init__(
        self,
        keys: Keys,
        port: HintPort,
        *,
        enabled: bool = True,
        free: Callable[[], int | None] = lambda: None,
        failed: Callable[[BaseException], None] = lambda error: None,
        clock: Callable[[], float] = time.monotonic,
        counters: Counters | None = None,
    ) -> None:
        self._keys, self._port, self._failed = keys, port, failed
        self._room = Room(free, port.backlog, clock)
        self._clock, self._counters = clock, counters or Counters()
        self.enabled = enabled
        self._queue: dict[Look, Hint] = {}
        # When each hint's timer ends; the heap also keeps ends that were moved since.
        self._ends: dict[Look, float] = {}
        self._timers: list[tuple[float, int, Hint]] = []
        self._count = itertools.count()
        self._changed = threading.Condition()
        self._hold_until = 0.0
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="wake", daemon=True)

    def start(self) -> None:
        """Start the publishing thread."""
        self._thread.start()

    def stop(self) -> None:
        """Publish what waits and stop, within two seconds."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join(timeout=2)

    def hint(self, kind: Kind, id: str) -> None:
        """Somebody should look at `id` now. Returns at once."""
        if self.enabled:
            self.relay(kind, id)

    def relay(self, kind: Kind, id: str) -> None:
        """Like `hint`, also where shortcuts are off: what a relay found overdue."""
        with self._changed:
            self._enqueue(Hint(kind, self._keys.shard(id), id, current()))
            self._changed.notify()

    def at(self, kind: Kind, id: str, at_ms: int, *, now_ms: int) -> None:
        """Arm a local timer when `at_ms` is near; later ones are the relays' business."""
        wait_ms = at_ms - now_ms
        if not self.enabled or wait_ms > NEAR_MS:
            return
        with self._changed:
            ends = self._clock() + max(0, wait_ms) / 1000
            hint = Hint(kind, self._keys.shard(id), id, current())
            # Relays arm the same again each round, a little off; another time takes the place of the last.
            is_armed = abs(self._ends.get((kind, id), -math.inf) - ends) < SAME_S
            if is_armed or len(self._timers) >= MOST_WAITING:
                return
            self._ends[kind, id] = ends
            heapq.heappush(self._timers, (ends, next(self._count), hint))
            self._changed.notify()

    def _enqueue(self, hint: Hint) -> None:
        # The first cause is the one that has waited longest.
        self._queue.setdefault((hint.kind, hint.id), hint)
        # A broker that is away for long: what is dropped is found by the relays.
        while len(self._queue) > MOST_WAITING:
            del self._queue[next(iter(self._queue))]
            self._counters.add("turnwright_hints_dropped_total", "overflow")

    def _run(self) -> None:
        while True:
            hints = self._next_batch()
            if hints:
                self._publish(hints)
            elif self._stopped:
                return

    def _next_batch(self) -> list[Hint]:
        with self._changed:
            while not self._stopped:
                timer = self._timers[0][0] if self._timers else math.inf
                ready = self._hold_until if self._queue else math.inf
                if (wait := min(timer, ready) - self._clock()) <= 0:
                    break
                self._changed.wait(None if wait == math.inf else wait)
            while self._timers and self._timers[0][0] <= self._clock():
                ends, _, hint = heapq.heappop(self._timers)
                look = (hint.kind, hint.id)
                if self._ends.get(look) == ends:
                    del self._ends[look]
                    self._enqueue(hint)
            hints = list(itertools.islice(self._queue.values(), FLUSH))
            for hint in hints:
                del self._queue[hint.kind, hint.id]
            return hints

    def _publish(self, hints: list[Hint]) -> None:
        try:
            room = len(hints) if self._stopped else self._room.take(hint.kind for hint in hints)
            if room:
                self._port.publish(hints[:room])
            if room < len(hints):
                self._hold(hints[room:])
        except Exception as error:
            # The edge of this thread: without it a single defect would end all hints of this process.
            self._counters.add("turnwright_hints_dropped_total", "broker", by=len(hints))
            self._failed(error)
            return
        for hint in hints[:room]:
            self._counters.add("turnwright_hints_total", hint.kind)

    def _hold(self, hints: list[Hint]) -> None:
        """Keep the newest for a while. Whoever follows one of them takes what else is due as well."""
        with self._changed:
            held = {(hint.kind, hint.id): hint for hint in hints} | self._queue
            kept = itertools.islice(held.items(), max(0, len(held) - MOST_HELD), None)
            self._queue = dict(kept)
            self._hold_until = self._clock() + HOLD_S
