"""Locks between the processes of a host: a file of its own for each, which the kernel frees when its holder dies."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_S = 0.002
_TAKEN = (errno.EWOULDBLOCK, errno.EACCES)


class FileLock:
    """The lock of one file, for one thread of this process at a time. The file is made where it is missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self) -> bool:
        """Hold the lock from now on; False while another process does. Raises: OSError."""
        if self._file is not None:
            return True
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            if error.errno in _TAKEN:
                return False
            raise
        self._file = file
        return True

    def free(self) -> None:
        """Let others have it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @contextmanager
    def held(self, *, within_s: float) -> Iterator[bool]:
        """Hold the lock for a moment; yields False when nobody let go of it `within_s`. Raises: OSError."""
        ends = time.monotonic() + within_s
        while not (is_mine := self.take()) and time.monotonic() < ends:
            time.sleep(_POLL_S)
        try:
            yield is_mine
        finally:
            if is_mine:
                self.free()
