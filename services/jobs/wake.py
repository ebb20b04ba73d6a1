"""Wake-up: telling workers where to look, as soon as possible and never relied upon.

Hints are published by one thread, off everybody's path, merged and bounded; what falls due soon gets a
local timer. Switched off, everything still happens, found by the relays.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from services.streams.keys import Keys, Kind

NEAR_MS = 2_000
FLUSH = 200


class Hint(msgspec.Struct, frozen=True):
    """Look here now. `id` is a stream for `advance` and `deliver`, a job for `llm` and `tool`."""

    kind: Kind
    shard: int
    id: str


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
    ) -> None:
        self._keys, self._port, self._free, self._failed = keys, port, free, failed
        self.enabled = enabled
        self._queue: dict[Hint, bool] = {}
        self._timers: list[tuple[float, Hint]] = []
        self._changed = threading.Condition()
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
            self._queue[Hint(kind, self._keys.shard(id), id)] = True
            self._changed.notify()

    def at(self, kind: Kind, id: str, at_ms: int, *, now_ms: int) -> None:
        """Arm a local timer when `at_ms` is near; later ones are the relays' business."""
        wait_ms = at_ms - now_ms
        if not self.enabled or wait_ms > NEAR_MS:
            return
        with self._changed:
            due = time.monotonic() + max(0, wait_ms) / 1000
            entry = (due, Hint(kind, self._keys.shard(id), id))
            if entry not in self._timers[:50]:
                heapq.heappush(self._timers, entry)
            self._changed.notify()

    def _run(self) -> None:
        while True:
            hints = self._next_batch()
            if hints:
                self._publish(hints)
            elif self._stopped:
                return

    def _next_batch(self) -> list[Hint]:
        with self._changed:
            while not self._queue and not self._stopped:
                wait = self._timers[0][0] - time.monotonic() if self._timers else None
                if wait is not None and wait <= 0:
                    break
                self._changed.wait(wait)
            while self._timers and self._timers[0][0] <= time.monotonic():
                self._queue[heapq.heappop(self._timers)[1]] = True
            hints = list(self._queue)[:FLUSH]
            for hint in hints:
                del self._queue[hint]
            return hints

    def _publish(self, hints: list[Hint]) -> None:
        try:
            kept = self._bounded(hints)
            if kept:
                self._port.publish(kept)
        except Exception as error:
            self._failed(error)

    def _bounded(self, hints: list[Hint]) -> list[Hint]:
        """No more hints than slots that could follow them: busy workers find the rest by themselves."""
        free = self._free()
        if free is None or len(hints) <= 2:
            return hints
        room = max(2, free - sum(self._port.backlog(kind) for kind in {hint.kind for hint in hints}))
        return hints[:room]
