"""Named points where tests kill this process. Off unless TURNWRIGHT_TEST_FAULTS names a directory.

A file of a point's name arms it; whoever reaches it first takes the file away and dies there, with
SIGKILL, as a crash would have it.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

POINTS = (
    "web.appended",
    "advance.taken",
    "advance.committed",
    "llm.claimed",
    "llm.asking",
    "llm.streaming",
    "llm.failed",
    "llm.answered",
    "llm.settled",
    "tool.claimed",
    "tool.ran",
    "deliver.claimed",
    "deliver.sent",
)
# On the way of a webhook, before a turn begins.
INBOUND_POINTS = (
    "spool.kept",
    "drain.taken",
    "drain.appended",
    "drain.removed",
    "route.claimed",
    "route.appended",
)
# On the way of a tick to its session.
SCHEDULE_POINTS = ("tick.claimed", "tick.appended")


class Faults:
    """The fault points of this process."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def at(self, point: str) -> None:
        """Die here if this point is armed."""
        if self._folder is None:
            return
        armed = self._folder / point
        try:
            armed.rename(self._folder / f"{point}.hit.{os.getpid()}")
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)
