"""The lookout of a worker process: what else is due, found by one look at all sets for all its threads."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable

from services.errors import TurnwrightError
from services.jobs.due import Due, DueSets
from services.jobs.errands import Errands
from services.jobs.share import Chooser, everything
from services.jobs.slots import Slots
from services.streams.keys import JobKind, Kind, is_job

KINDS: tuple[Kind, ...] = ("advance", "llm", "tool", "deliver")
PER_SET = 8
SHORTEST_S = 0.02
LONGEST_S = 0.32
STALE_S = 0.32
# So long a stream that has become due is left to the hint that tells of it.
FRESH_MS = 100
# So long what another process would look after first is left to it.
LEFT_MS = 1_000


class Lookout:
    """Looks again at the earliest 20 ms after the last look, and rarer while looks find nothing."""

    def __init__(
        self,
        due: DueSets,
        slots: Slots,
        errands: Errands,
        chooser: Callable[[], Chooser] = lambda: everything,
    ) -> None:
        self._due, self._slots, self._errands, self._chooser = due, slots, errands, chooser
        self._found: deque[Due] = deque()
        self._looked_at = 0.0
        self._pause_s = SHORTEST_S
        self._lock = threading.Lock()

    def next(self) -> Due | None:
        """One that is due and that this process has a slot for, each told to one thread. None: nothing known."""
        with self._lock:
            if not self._found and time.monotonic() - self._looked_at > self._pause_s:
                self._look()
            for i, one in enumerate(self._found):
                if self._has_room(one):
                    del self._found[i]
                    return one
            # What is left finds a thread that has room for it; others may have been faster by then.
            if time.monotonic() - self._looked_at > STALE_S:
                self._found.clear()
        return None

    def offer(self, one: Due) -> None:
        """It is due now: the next one, for whichever thread asks first."""
        with self._lock:
            self._found.appendleft(one)

    def _has_room(self, one: Due) -> bool:
        kind = _job_kind(one)
        if kind is not None:
            return self._slots.has_room(kind)
        return one.kind != "advance" or self._errands.has_room()

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        try:
            now, found = self._due.lowest(KINDS, most=PER_SET)
        except TurnwrightError:
            return
        is_ours = self._chooser()
        ready = [
            one
            for one in found
            if one.at <= now - (FRESH_MS if one.kind == "advance" else 0)
            and (one.at <= now - LEFT_MS or is_ours(one.id))
        ]
        self._pause_s = SHORTEST_S if ready else min(LONGEST_S, 2 * self._pause_s)
        random.shuffle(ready)
        self._found.extend(ready)


def _job_kind(one: Due) -> JobKind | None:
    # None: what needs no slot.
    if one.kind == "advance" or one.kind == "tick" or not is_job(one.id):
        return None
    return one.kind
