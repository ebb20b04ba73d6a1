"""Open connections that wait for their next request, by where they lead. Each was vetted when it was opened."""

from __future__ import annotations

import ssl
import threading
import time
from collections import deque

import msgspec

from services.channels.http.attempt import Attempt
from services.channels.http.connection import Connection
from services.channels.http.guard import Guard
from services.channels.http.targets import Target
from services.channels.http.tls import secured

_SWEEP_S = 1.0
_TLS_PROTOCOLS = ["http/1.1"]

Place = tuple[str, str, int]
# Until when it may be used, and what waits.
Waiting = tuple[float, Connection]


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """How many connections may wait for one place, for how long, and how old they get.

    `idle_s` is shorter than common servers wait: theirs must not end under a request of ours. After `longest_s`
    the name is looked up and vetted again.
    """

    most: int = 64
    idle_s: float = 4.0
    longest_s: float = 60.0


class Connections:
    """Connections that `guard` lets through, over TLS where a target asks for it. Thread-safe."""

    def __init__(self, guard: Guard, tls: ssl.SSLContext, keep: Keep) -> None:
        tls.set_alpn_protocols(_TLS_PROTOCOLS)
        self._guard, self._tls, self._keep = guard, tls, keep
        self._idle: dict[Place, deque[Waiting]] = {}
        self._lock = threading.Lock()
        self._swept = time.monotonic()

    def take(self, target: Target, attempt: Attempt) -> Connection:
        """A connection nobody else has, the one used last or a new one. Raises: DeliveryError."""
        while (waiting := self._pop(_place(target))) is not None:
            if not _has_expired(waiting):
                return waiting[1]
            waiting[1].close()
        opened = self._guard.connect(target.host, target.port, attempt)
        if target.scheme == "https":
            opened = secured(opened, self._tls, target.host, attempt)
        return Connection(opened, ends_at=time.monotonic() + self._keep.longest_s)

    def give_back(self, target: Target, connection: Connection) -> None:
        """The request on `connection` is over; it waits for the next one if it can take one."""
        surplus = [] if connection.is_free else [connection]
        until = min(time.monotonic() + self._keep.idle_s, connection.ends_at)
        with self._lock:
            waiting = self._idle.setdefault(_place(target), deque())
            if not surplus:
                waiting.append((until, connection))
            if len(waiting) > self._keep.most:
                surplus.append(waiting.popleft()[1])
            surplus += self._expired()
        for each in surplus:
            each.close()

    def close(self) -> None:
        """Close what waits."""
        with self._lock:
            left, self._idle = self._idle, {}
        for waiting in left.values():
            for _, each in waiting:
                each.close()

    def _pop(self, place: Place) -> Waiting | None:
        with self._lock:
            waiting = self._idle.get(place)
            return waiting.pop() if waiting else None

    def _expired(self) -> list[Connection]:
        """What waited too long, looked for once in a while: nobody may ever ask for that place again."""
        if time.monotonic() - self._swept < _SWEEP_S:
            return []
        self._swept = time.monotonic()
        found = []
        for place, waiting in list(self._idle.items()):
            while waiting and _has_expired(waiting[0]):
                found.append(waiting.popleft()[1])
            if not waiting:
                del self._idle[place]
        return found


def _has_expired(waiting: Waiting) -> bool:
    until, connection = waiting
    return time.monotonic() >= until or connection.is_stale()


def _place(target: Target) -> Place:
    return target.scheme, target.host, target.port
