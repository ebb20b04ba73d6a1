"""Waiting for a role with a word now and then, so that nobody thinks nothing happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_REMIND_EVERY_S = 5.0


class Patience:
    """Asks `is_ready` for a role that starts, and says every few seconds how long it has taken.

    Every start of the role asks from a thread of its own, and counts from its first question.
    """

    def __init__(
        self,
        what: str,
        is_ready: Callable[[], bool],
        say: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what, self._is_ready, self._say, self._clock = what, is_ready, say, clock
        self._asker: threading.Thread | None = None
        self._asked_at = self._reminded_at = 0.0

    def __call__(self) -> bool:
        """Whether it is ready."""
        asker = threading.current_thread()
        if asker is not self._asker:
            self._asker = asker
            self._asked_at = self._reminded_at = self._clock()
        if self._is_ready():
            return True
        now = self._clock()
        if now - self._reminded_at > _REMIND_EVERY_S:
            self._reminded_at = now
            self._say(f"still waiting for {self._what} ({now - self._asked_at:.0f} s)")
        return False
