"""Slots of one process: how many threads outside work may take, so that reductions always find one."""

from __future__ import annotations

import math
import threading
import time

from services.streams.keys import JOB_KINDS, JobKind

RESERVED = 8
FOR_OTHERS = 4


class Slots:
    """`total` threads. Outside work takes all but eight; LLM runs leave four of those to others, and
    deliveries, which may hang on a slow receiver, a quarter."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.capacity = max(1, total - RESERVED)
        self._most: dict[JobKind, int] = {
            "llm": max(1, self.capacity - min(FOR_OTHERS, self.capacity // 2)),
            "tool": self.capacity,
            "deliver": max(1, self.capacity * 3 // 4),
        }
        self._busy: dict[JobKind, int] = dict.fromkeys(JOB_KINDS, 0)
        self._held = 0
        self._freed_at = -math.inf
        self._lock = threading.Lock()

    def reserve(self, kind: JobKind) -> bool:
        """Take a slot for outside work; False when all are taken."""
        with self._lock:
            if not self.has_room(kind):
                return False
            self._busy[kind] += 1
            self._held += 1
            return True

    def change(self, old: JobKind, new: JobKind) -> bool:
        """Go on in the same slot with work of another kind; False when that kind has no room."""
        with self._lock:
            if old != new and self._busy[new] >= self._most[new]:
                return False
            self._busy[old] -= 1
            self._busy[new] += 1
            self._freed_at = time.monotonic()
            return True

    def release(self, kind: JobKind) -> None:
        """Give a slot back."""
        with self._lock:
            self._busy[kind] -= 1
            self._held -= 1
            self._freed_at = time.monotonic()

    @property
    def still_s(self) -> float:
        """For how long no slot was given back or changed."""
        return time.monotonic() - self._freed_at

    def has_room(self, kind: JobKind) -> bool:
        """Whether a slot of `kind` would be given now."""
        return self.free > 0 and self._busy[kind] < self._most[kind]

    @property
    def free(self) -> int:
        """Slots nobody holds."""
        return self.capacity - self._held
