"""The lookout of a worker process: what else is due, found by one look at all sets for all its threads."""

from __future__ import annotations

import random
import threading
import time
from collections import deque

from services.errors import TurnwrightError
from services.jobs.due import Due, DueSets
from services.jobs.slots import Slots
from services.streams.keys import JobKind, Kind, is_job

KINDS: tuple[Kind, ...] = ("advance", "llm", "tool", "deliver")
PER_SET = 8
SHORTEST_S = 0.02
LONGEST_S = 0.32
PATIENCE_MS = 250


class Lookout:
    """Looks again at the earliest 20 ms after the last look, and rarer while looks find nothing."""

    def __init__(self, due: DueSets, slots: Slots) -> None:
        self._due, self._slots = due, slots
        self._found: deque[Due] = deque()
        self._looked_at = 0.0
        self._now = 0
        self._pause_s = SHORTEST_S
        self._lock = threading.Lock()

    def next(self) -> Due | None:
        """One that is due and that this process has a slot for, each told to one thread. None: nothing known."""
        with self._lock:
            if not self._found and time.monotonic() - self._looked_at > self._pause_s:
                self._look()
            while self._found:
                one = self._found.popleft()
                if self._is_for_us(one):
                    return one
        return None

    def _is_for_us(self, one: Due) -> bool:
        """Not what there is no slot for. Nor, for a moment, a reduction while every model slot is taken: whoever
        has one then can claim what follows in the same step and go on."""
        if (kind := _job_kind(one)) is not None:
            return self._slots.has_room(kind)
        if one.kind != "advance" or self._slots.has_room("llm"):
            return True
        return self._now - one.at > PATIENCE_MS

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        try:
            self._now, found = self._due.lowest(KINDS, most=PER_SET)
        except TurnwrightError:
            return
        ready = [one for one in found if one.at <= self._now]
        self._pause_s = SHORTEST_S if ready else min(LONGEST_S, 2 * self._pause_s)
        random.shuffle(ready)
        self._found.extend(ready)


def _job_kind(one: Due) -> JobKind | None:
    # None: what needs no slot.
    if one.kind == "advance" or one.kind == "tick" or not is_job(one.id):
        return None
    return one.kind
