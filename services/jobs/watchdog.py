"""The watchdog of a worker: a thread that hangs in a reduction is found, and the process starts over.

Python can not stop a thread; a new process can. What it worked on is due again after its grace.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from services.logs import get_logger


class Watchdog:
    """Looks at `errands` (thread -> monotonic start); `stuck` is called for one older than `limit_s`."""

    EVERY_S = 1.0

    def __init__(
        self, errands: Mapping[int, float], *, limit_s: float, stuck: Callable[[float], None]
    ) -> None:
        self._errands, self._limit_s, self._stuck = errands, limit_s, stuck
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(self.EVERY_S):
            try:
                if self._has_bitten():
                    return
            except Exception as error:
                # The edge of this thread: without it a thread that hangs would never be found.
                get_logger("watchdog").warning("look_failed", error=type(error).__name__)

    def _has_bitten(self) -> bool:
        oldest = min(list(self._errands.values()), default=None)
        if oldest is None or time.monotonic() - oldest <= self._limit_s:
            return False
        self._stuck(time.monotonic() - oldest)
        return True
