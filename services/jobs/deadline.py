"""Wall limits of running attempts: one thread for a whole process instead of a timer thread per call."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable

import structlog

_log = structlog.get_logger(__name__)
_SLACK = 64


class Deadlines:
    """Runs what is armed when its time has come, on the monotonic clock. Thread-safe.

    The thread starts with the first deadline and is a daemon; in a forked child it starts anew.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._fires: dict[int, Callable[[], None]] = {}
        self._heap: list[tuple[float, int]] = []
        self._next_id = 0
        self._thread: threading.Thread | None = None

    def arm(self, after_s: float, fire: Callable[[], None]) -> Callable[[], None]:
        """Run `fire` once after `after_s` seconds; it must be quick. Returns how to disarm it."""
        with self._changed:
            self._next_id += 1
            key = self._next_id
            self._fires[key] = fire
            heapq.heappush(self._heap, (time.monotonic() + after_s, key))
            self._start()
            if self._heap[0][1] == key:
                self._changed.notify()
        return lambda: self._disarm(key)

    def armed(self) -> int:
        """How many deadlines are pending."""
        with self._changed:
            return len(self._fires)

    def _disarm(self, key: int) -> None:
        with self._changed:
            self._fires.pop(key, None)
            if len(self._heap) > 2 * len(self._fires) + _SLACK:
                self._heap = [entry for entry in self._heap if entry[1] in self._fires]
                heapq.heapify(self._heap)

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._watch, name="deadlines", daemon=True)
            self._thread.start()

    def _watch(self) -> None:
        while True:
            fire = self._wait_for_next()
            try:
                fire()
            except Exception as error:
                # The edge of this thread: the deadlines behind it must still be kept.
                _log.error("deadline_failed", error=type(error).__name__)

    def _wait_for_next(self) -> Callable[[], None]:
        with self._changed:
            while True:
                if not self._heap:
                    self._changed.wait()
                    continue
                at, key = self._heap[0]
                left_s = at - time.monotonic()
                if left_s > 0:
                    self._changed.wait(left_s)
                    continue
                heapq.heappop(self._heap)
                fire = self._fires.pop(key, None)
                if fire is not None:
                    return fire
