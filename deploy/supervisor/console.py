"""The supervisor's own output: lines of all roles under their names, in colour on a terminal.

Written by a thread, from a bounded queue: a terminal that is held up must hold up no role. What does
not fit is dropped and counted.
"""

from __future__ import annotations

import os
import queue
import threading
from typing import TextIO

_WIDTH = 10
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
_QUEUE_LINES = 10_000
_CLOSE_WAIT_S = 1.0


class Console:
    """Prints lines to `out` in the order they came."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._is_coloured = out.isatty() and "NO_COLOR" not in os.environ
        self._colours: dict[str, int] = {}
        self._lines: queue.Queue[str | None] = queue.Queue(maxsize=_QUEUE_LINES)
        self._dropped = 0
        self._writer = threading.Thread(target=self._write, name="console", daemon=True)
        self._writer.start()

    def say(self, text: str) -> None:
        """A line of our own, as it is."""
        self._put(text)

    def relay(self, source: str, line: str) -> None:
        """A line of `source`'s output, under its name."""
        name = f"{source:<{_WIDTH}}|"
        if self._is_coloured:
            colour = self._colours.setdefault(source, _COLOURS[len(self._colours) % len(_COLOURS)])
            name = f"\033[{colour}m{name}\033[0m"
        self._put(f"{name} {line}")

    def close(self) -> None:
        """Write what is queued, as far as `out` takes it."""
        try:
            self._lines.put(None, timeout=_CLOSE_WAIT_S)
        except queue.Full:
            return
        self._writer.join(_CLOSE_WAIT_S)

    def _put(self, line: str) -> None:
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                line = f"{line}\n({dropped} lines were dropped: the terminal did not keep up)"
            try:
                self._out.write(line + "\n")
                self._out.flush()
            except (OSError, ValueError):
                # Nobody reads any more; the roles go on.
                continue
