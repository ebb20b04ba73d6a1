"""The lookout of a worker process: what else is due, found by one look at all sets for all its threads."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

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
Need = JobKind | Literal["advance", "nothing"]


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
            rooms: dict[Need, bool] = {}
            for i, one in enumerate(self._found):
                need = _need(one)
                if need not in rooms:
                    rooms[need] = self._has_room(need)
                if rooms[need]:
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

    def _has_room(self, need: Need) -> bool:
        if need == "nothing":
            return True
        return self._errands.has_room() if need == "advance" else self._slots.has_room(need)

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


def _need(one: Due) -> Need:
    """What has to be free for it: a slot of its kind, a thread that may reduce, or nothing."""
    if one.kind == "advance":
        return "advance"
    return "nothing" if one.kind == "tick" or not is_job(one.id) else one.kind
