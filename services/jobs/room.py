"""How many hints workers could follow now: slots that are free, less the hints nobody has read yet.

Asks the broker rarely: what one look found may be used up for a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from services.streams.keys import Kind

# Slots are told of every few seconds: even where none was free, two may look.
LEAST = 2
GOOD_FOR_S = 1.0


class Room:
    """For one thread. `free` is the slots of all workers, None when unknown; `backlog` the hints of a kind."""

    def __init__(
        self,
        free: Callable[[], int | None],
        backlog: Callable[[Kind], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free, self._backlog, self._clock = free, backlog, clock
        self._left = 0
        self._good_until = 0.0

    def take(self, kinds: Iterable[Kind]) -> int:
        """How many of the hints, whose kinds these are, may leave now; they are counted as sent.

        Raises what `backlog` raises.
        """
        wanted = list(kinds)
        if self._clock() >= self._good_until or self._left < len(wanted):
            free = self._free()
            if free is None:
                return len(wanted)
            self._left = max(LEAST, free) - sum(map(self._backlog, dict.fromkeys(wanted)))
            self._good_until = self._clock() + GOOD_FOR_S
        taken = max(0, min(self._left, len(wanted)))
        self._left -= taken
        return taken
