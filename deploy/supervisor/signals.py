"""The signals a supervisor lives by, turned into something a selector can wait for."""

from __future__ import annotations

import signal
import socket
import time
from types import FrameType
from typing import Self

_STOP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# make and a terminal may both tell of the same wish.
_SAME_WISH_S = 1.0


class Signals:
    """While entered: counts requests to stop, and makes `wakeup_fd` readable on any signal or `wake`."""

    def __init__(self) -> None:
        self.stops = 0
        self._last_stop = float("-inf")
        self._read_end, self._write_end = socket.socketpair()
        for end in (self._read_end, self._write_end):
            end.setblocking(False)

    @property
    def wakeup_fd(self) -> int:
        """Readable when something happened."""
        return self._read_end.fileno()

    def wake(self) -> None:
        """End the wait; from any thread."""
        try:
            self._write_end.send(b"\0")
        except OSError:
            # Full: it will wake anyway. Closed: nobody waits any more.
            return

    def clear(self) -> None:
        """Forget what happened so far."""
        try:
            while self._read_end.recv(4096):
                pass
        except BlockingIOError:
            return

    def __enter__(self) -> Self:
        self._former_fd = signal.set_wakeup_fd(self._write_end.fileno(), warn_on_full_buffer=False)
        self._former = {number: signal.signal(number, self._count) for number in self._wanted()}
        self._former[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda number, frame: None)
        return self

    def __exit__(self, *exception: object) -> None:
        signal.set_wakeup_fd(self._former_fd)
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._read_end.close()
        self._write_end.close()

    def _wanted(self) -> list[signal.Signals]:
        # Who started us with nohup means it.
        has_terminal_left = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        return [number for number in _STOP if not (number == signal.SIGHUP and has_terminal_left)]

    def _count(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._last_stop > _SAME_WISH_S:
            self.stops += 1
        self._last_stop = now
