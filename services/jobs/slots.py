"""Slots of one process: how many threads outside work may take, so that reductions always find one."""

from __future__ import annotations

import threading

RESERVED = 8


class Slots:
    """`total` threads, of which LLM and tool runs together take all but eight."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.capacity = max(1, total - RESERVED)
        self._busy = 0
        self._lock = threading.Lock()

    def reserve(self) -> bool:
        """Take a slot for outside work; False when all are taken."""
        with self._lock:
            if self._busy >= self.capacity:
                return False
            self._busy += 1
            return True

    def release(self) -> None:
        """Give a slot back."""
        with self._lock:
            self._busy -= 1

    @property
    def free(self) -> int:
        """Slots nobody holds."""
        return self.capacity - self._busy
