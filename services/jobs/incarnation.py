"""One life of one worker process: its identity, its lease, and the proof that another one is over.

Writes `leases` and `workers`. An identity names the host's boot, the process and when it began, so
that whoever shares the host can see that it is gone; an equal name proves nothing.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec

from services.errors import Revoked, Unavailable
from services.logs import get_logger
from services.processes import is_running, started_at
from services.streams.admission import persist
from services.streams.commands import Arg
from services.streams.keys import Keys
from services.streams.store import Store, translated

REVOKED_EXIT = 75
IS_LINUX = platform.system() == "Linux"


class Identity(msgspec.Struct, frozen=True):
    """`host` stands for one boot and one process namespace; `started` is in the kernel's own unit."""

    host: str
    pid: int
    started: str
    serial: str

    def __str__(self) -> str:
        return f"{self.host}-{self.pid}-{self.started}-{self.serial}"


def parse_identity(text: str) -> Identity | None:
    """The identity written as `text`, or None when it is not one."""
    parts = text.split("-")
    if len(parts) != 4 or not parts[1].isdigit():
        return None
    return Identity(parts[0], int(parts[1]), parts[2], parts[3])


def own_identity() -> Identity:
    """The identity of this process, new at every call."""
    pid = os.getpid()
    return Identity(host_id(), pid, started_at(pid) or "0", uuid.uuid4().hex[:8])


def host_id() -> str:
    """Hash of the boot id and the process namespace: processes with the same one see each other."""
    if IS_LINUX:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        seen = os.readlink("/proc/self/ns/pid")
    else:
        boot = subprocess.run(
            ["sysctl", "-n", "kern.boottime"], capture_output=True, text=True, check=True
        ).stdout
        seen = ""
    return hashlib.sha256(f"{boot}|{seen}".encode()).hexdigest()[:12]


def is_proven_dead(incarnation: str, host: str) -> bool:
    """Whether the incarnation ran on this boot and its process is gone."""
    identity = parse_identity(incarnation)
    if identity is None or identity.host != host:
        return False
    return not is_running(identity.pid, identity.started)


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker says of itself. `at` is epoch ms of the store's clock.

    `stuck`: threads of tools that were given up and have not ended.
    """

    kinds: tuple[str, ...]
    slots: int
    free: int
    stuck: int = 0
    processors: dict[str, int]
    at: int = 0


class Lease:
    """The lease of this process, renewed by one thread on every shard. `lost` is called once it is over."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        *,
        ttl_s: float,
        renew_s: float,
        beat: Callable[[], Heartbeat],
        lost: Callable[[], None],
    ) -> None:
        self.incarnation = str(own_identity())
        self._store, self._keys = store, keys
        self._ttl_s, self._renew_s = ttl_s, renew_s
        self._beat, self._lost = beat, lost
        self._good_until = self._over_at = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def start(self, *, within_s: float = 0.0, is_stopping: Callable[[], bool] = lambda: False) -> None:
        """Take the lease on every shard and keep it; waits `within_s` for a store that is away or full.

        Raises: Unavailable, Overloaded.
        """
        persist(self._begin, within_s=within_s, is_stopping=is_stopping)
        self._thread.start()

    def stop(self) -> None:
        """Give the lease up. What is still held is found by the others."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=self._renew_s + 1)
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            for shard in range(self._keys.shards):
                pipe.zadd(self._keys.leases(shard), {self.incarnation: 0}, xx=True)
            pipe.hdel(self._keys.workers, self.incarnation)
            pipe.execute()

    def remaining_s(self) -> float:
        """Seconds the lease lasts at least; negative when it may be over. Counts suspended time."""
        return self._good_until - _boottime()

    def _begin(self) -> None:
        if not self._renew(first=True):
            raise Revoked("the lease ended before all of it was taken")

    def _run(self) -> None:
        while not self._stop.wait(self._renew_s):
            if self._is_over():
                self._lost()
                return

    def _is_over(self) -> bool:
        try:
            return not self._renew(first=False)
        except Unavailable:
            # Nobody else gets the work from a store that is away; once it is back it says whether it is over.
            return False
        except Exception as error:
            # The edge of this thread: without it nobody would ever hear that the lease ended.
            get_logger("lease").warning("not_renewed", error=type(error).__name__, reason=str(error))
            return _boottime() > self._over_at

    def _renew(self, *, first: bool) -> bool:
        sent = _boottime()
        ends: list[int] = []
        for shard in range(self._keys.shards):
            names = [self._keys.leases(shard), self._keys.clock(shard)]
            args: list[Arg] = [self.incarnation, int(self._ttl_s * 1000), "1" if first else "0"]
            answer = self._store.raw("renew", names, args)
            assert isinstance(answer, int)
            if answer == 0:
                return False
            ends.append(answer)
        self._good_until, self._over_at = sent + self._ttl_s, _boottime() + self._ttl_s
        beat = msgspec.structs.replace(self._beat(), at=ends[0] - int(self._ttl_s * 1000))
        with translated():
            self._store.client.hset(self._keys.workers, self.incarnation, msgspec.json.encode(beat))
        return True


def _boottime() -> float:
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
