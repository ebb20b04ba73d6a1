"""The data directory: its folders, and the lock that lets one set of stores write in it at a time.

Two servers on one append-only directory corrupt it. The lock therefore belongs to the file descriptor
that the store processes inherit: it lives as long as any of them, however their supervisor ended.
Writes `run/lock` and `run/supervisor.json`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from deploy.rolesfile import write_record
from services.diagnosis.roles import SupervisorRecord
from services.errors import ConfigurationError
from services.processes import is_running, started_at

_FOLDERS = ("run", "log")
_POLL_S = 0.05


class DataDirectory:
    """A locked data directory. `lock_fd` is what the store processes inherit."""

    def __init__(self, home: Path, *, lock_fd: int) -> None:
        self.home = home
        self.lock_fd = lock_fd
        self.supervisor = SupervisorRecord(pid=os.getpid(), started=started_at(os.getpid()) or "")

    @property
    def run(self) -> Path:
        """Records about processes; worthless once they are gone."""
        return self.home / "run"

    @property
    def log(self) -> Path:
        """What the log store keeps."""
        return self.home / "log"

    def close(self) -> None:
        """Let go of the directory; a store process that still runs keeps it locked."""
        with suppress(OSError):
            _record_path(self.home).unlink()
        os.close(self.lock_fd)


def lock_data_directory(home: Path, *, wait_s: float = 10.0) -> DataDirectory:
    """Make the folders of `home` where they are missing, and lock it for this process as supervisor.

    Refused at once while another supervisor lives; waits up to `wait_s` for the stores of a dead one.
    Raises: ConfigurationError.
    """
    try:
        _make_folders(home)
        lock_fd = os.open(home / "run" / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(home, error) from None
    try:
        _lock(lock_fd, home, deadline=time.monotonic() + wait_s)
        directory = DataDirectory(home, lock_fd=lock_fd)
        write_record(_record_path(home), directory.supervisor)
    except OSError as error:
        os.close(lock_fd)
        raise _unusable(home, error) from None
    except BaseException:
        os.close(lock_fd)
        raise
    return directory


def _make_folders(home: Path) -> None:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    # One made by hand may be open to others; one that holds other things is left as it is.
    if not any(home.iterdir()):
        home.chmod(0o700)
    for name in _FOLDERS:
        (home / name).mkdir(mode=0o700, exist_ok=True)


def _lock(lock_fd: int, home: Path, *, deadline: float) -> None:
    while not _try_lock(lock_fd):
        holder = _live_supervisor(home)
        if holder is not None:
            raise ConfigurationError(
                f"the data directory {home} is in use: Turnwright already runs on it (pid {holder}). "
                "Stop that one first, or set TURNWRIGHT_HOME to another directory"
            )
        if time.monotonic() > deadline:
            raise ConfigurationError(
                f"the data directory {home} is in use: a store process of an earlier run still writes in it"
            )
        time.sleep(_POLL_S)


def _try_lock(lock_fd: int) -> bool:
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    return True


def _live_supervisor(home: Path) -> int | None:
    try:
        holder = msgspec.json.decode(_record_path(home).read_bytes(), type=SupervisorRecord)
    except (OSError, msgspec.MsgspecError):
        return None
    return holder.pid if is_running(holder.pid, holder.started) else None


def _record_path(home: Path) -> Path:
    return home / "run" / "supervisor.json"


def _unusable(home: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(f"TURNWRIGHT_HOME: {home} can not be used: {error.strerror or error}")
