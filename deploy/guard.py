"""Children never outlive the process that started them, not even when it is killed with -9.

Linux has a signal for it. Elsewhere a guard process reads a pipe from the supervisor: its end means
death, and the guard kills the process groups it was told about. Each child tells of itself before it
becomes the program it is to run, so none is missed. Run as a script this file is that guard.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: the child may not import.
_libc = ctypes.CDLL(None, use_errno=True)


def has_death_signal() -> bool:
    """Whether the kernel tells a child of its parent's death."""
    return sys.platform == "linux"


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent` dies, which just forked it.

    The signal follows the forking *thread*, so that has to be one that lives as long as the process.
    """
    if has_death_signal():
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


class Guard:
    """The guard process of this supervisor, for platforms without a death signal."""

    def __init__(self) -> None:
        self._children: set[int] = set()
        self._start()

    def enter(self) -> Callable[[], None]:
        """What a forked child calls before it executes its program."""
        self._revive()
        pipe = self._pipe
        return lambda: _tell(pipe, f"+{os.getpid()}")

    def add(self, child: int) -> None:
        """`child` runs; a guard that has to be started anew will know of it too."""
        self._children.add(child)

    def forget(self, child: int) -> None:
        """`child` is reaped; its number may belong to somebody else from now on."""
        self._children.discard(child)
        self._revive()
        _tell(self._pipe, f"-{child}")

    def close(self) -> None:
        """End the guard; only after all children ended."""
        os.close(self._pipe)
        self._process.wait()

    def _revive(self) -> None:
        if self._process.poll() is not None:
            os.close(self._pipe)
            self._start()

    def _start(self) -> None:
        read_end, self._pipe = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=read_end,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(read_end)
        for child in self._children:
            _tell(self._pipe, f"+{child}")


def _tell(pipe: int, line: str) -> None:
    # Shorter than PIPE_BUF, so lines of several processes never mix. A dead guard is revived later.
    with suppress(BrokenPipeError):
        os.write(pipe, f"{line}\n".encode())


def _watch() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    children: set[int] = set()
    for line in sys.stdin:
        child = int(line[1:])
        if line.startswith("+"):
            children.add(child)
        else:
            children.discard(child)
    for child in children:
        # Each leads a group of its own, which it made before it told of itself.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)


if __name__ == "__main__":
    _watch()
