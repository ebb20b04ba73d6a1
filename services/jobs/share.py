"""Which of what is due a worker process looks after first, so that several do not all run after the same.

Only a preference: what waits for longer than a moment is anybody's, whoever is gone or does not know of the others.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from services.errors import TurnwrightError
from services.jobs.census import Census

Chooser = Callable[[str], bool]


def everything(id: str) -> bool:
    """The choice of a process that is alone."""
    return True


class Share:
    """The part of one incarnation among the workers that are alive."""

    def __init__(self, census: Census, incarnation: str) -> None:
        self._census, self._incarnation = census, incarnation

    def chooser(self) -> Chooser:
        """Tells of an id whether it is in the share, as it is now. Everything is while nobody knows."""
        try:
            alive = sorted(self._census.workers())
        except TurnwrightError:
            return everything
        if self._incarnation not in alive:
            return everything
        count, rank = len(alive), alive.index(self._incarnation)
        return lambda id: zlib.crc32(id.encode()) % count == rank
