"""Slots of one process: how many threads outside work may take, so that reductions always find one."""

from __future__ import annotations

import threading
from typing import Literal

RESERVED = 8
FOR_TOOLS = 4

Outside = Literal["llm", "tool"]


class Slots:
    """`total` threads. LLM and tool runs together take all but eight, LLM runs leave four of those to tools."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.capacity = max(1, total - RESERVED)
        self._most_llm = max(1, self.capacity - min(FOR_TOOLS, self.capacity // 2))
        self._busy: dict[Outside, int] = {"llm": 0, "tool": 0}
        self._lock = threading.Lock()

    def reserve(self, kind: Outside) -> bool:
        """Take a slot for outside work; False when all are taken."""
        with self._lock:
            if not self.has_room(kind):
                return False
            self._busy[kind] += 1
            return True

    def change(self, old: Outside, new: Outside) -> bool:
        """Go on in the same slot with work of another kind; False when that kind has no room."""
        with self._lock:
            if old != new and new == "llm" and self._busy["llm"] >= self._most_llm:
                return False
            self._busy[old] -= 1
            self._busy[new] += 1
            return True

    def release(self, kind: Outside) -> None:
        """Give a slot back."""
        with self._lock:
            self._busy[kind] -= 1

    def has_room(self, kind: Outside) -> bool:
        """Whether a slot of `kind` would be given now."""
        return self.free > 0 and (kind == "tool" or self._busy["llm"] < self._most_llm)

    @property
    def free(self) -> int:
        """Slots nobody holds."""
        return self.capacity - self._busy["llm"] - self._busy["tool"]
