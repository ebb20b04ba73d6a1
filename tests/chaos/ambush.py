"""Stops a worker at the worst moment: while its request to Slack or GitHub is on the way, by the stand-in itself."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from typing import Literal

import psutil

# What a request does: it says something, or looks for what may have been said.
Moment = Literal["saying", "looking"]


class Ambush:
    """Where requests pass by. Thread-safe; one at a time is caught."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._here = threading.local()
        self._wanted = ""
        self._caught = 0

    def lie(self, moment: str, within_s: float) -> int:
        """Wait for a request of that kind; the pid of who sent it, stopped by now, or 0 when none came."""
        with self._changed:
            self._wanted, self._caught = moment, 0
            self._changed.wait_for(lambda: self._caught, within_s)
            self._wanted = ""
            return self._caught

    def connected(self, port: int) -> None:
        """This thread serves who connected from `port`."""
        self._here.port = port

    def passing(self, moment: Moment | None) -> None:
        """A request of this thread's connection has come, and nothing of it is done yet."""
        with self._changed:
            if moment is None or moment != self._wanted or self._caught:
                return
            pid = _owner(self._here.port)
            with suppress(ProcessLookupError):
                if pid:
                    os.kill(pid, signal.SIGSTOP)
                    self._caught = pid
                    self._changed.notify_all()


def _owner(port: int) -> int:
    """The process at the other end of a connection of this host; 0 when it is gone, or this one."""
    for each in psutil.net_connections(kind="tcp4"):
        if each.laddr and each.laddr.port == port and each.status == psutil.CONN_ESTABLISHED:
            return each.pid or 0 if each.pid != os.getpid() else 0
    return 0
