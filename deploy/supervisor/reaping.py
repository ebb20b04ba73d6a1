"""Tells of processes proven dead, from a thread: who listens may have to wait for a store."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from services.errors import Unavailable

OnReaped = Callable[[str, int, str], None]

_RETRY_S = 0.5
_ATTEMPTS = 240


class ReapedNotices:
    """Calls `on_reaped(role, pid, started)` once for every process that ended, in order.

    Repeated while it raises Unavailable: the store may be what died. `problem` is told of what it gives up.
    """

    def __init__(self, on_reaped: OnReaped, *, problem: Callable[[str], None]) -> None:
        self._on_reaped = on_reaped
        self._problem = problem
        self._queue: queue.SimpleQueue[tuple[str, int, str]] = queue.SimpleQueue()
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="reaped-notices", daemon=True).start()

    def put(self, role: str, pid: int, started: str) -> None:
        """That process is gone."""
        self._queue.put((role, pid, started))

    def close(self) -> None:
        """Stop repeating; what is not told by now is found out by lease end."""
        self._closed.set()

    def _run(self) -> None:
        while True:
            self._tell(*self._queue.get())

    def _tell(self, role: str, pid: int, started: str) -> None:
        for _ in range(_ATTEMPTS):
            try:
                self._on_reaped(role, pid, started)
                return
            except Unavailable:
                if self._closed.wait(_RETRY_S):
                    return
            except Exception as error:
                self._problem(f"{role}: the end of process {pid} could not be told: {error}")
                return
