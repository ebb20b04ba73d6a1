"""Open connections that wait for their next request, by where they lead. Each was vetted when it was opened.

Not the client's own pool: that looks at every connection for every request, which costs as much as a request once
there are fifty.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections import deque

import httpcore2
import msgspec

from services.channels.http.targets import Target

_SWEEP_S = 1.0
_TLS_PROTOCOLS = ["http/1.1"]

Place = tuple[str, str, int]


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """How many connections may wait for one place, for how long, and how old they get.

    `idle_s` is shorter than common servers wait: theirs must not end under a request of ours. After `longest_s`
    the name is looked up and vetted again.
    """

    most: int = 64
    idle_s: float = 4.0
    longest_s: float = 60.0


class Connections:
    """Connections made by `backend`, over TLS where a target asks for it. Thread-safe."""

    def __init__(self, backend: httpcore2.NetworkBackend, tls: ssl.SSLContext, keep: Keep) -> None:
        tls.set_alpn_protocols(_TLS_PROTOCOLS)
        self._backend, self._tls, self._keep = backend, tls, keep
        self._idle: dict[Place, deque[httpcore2.HTTP11Connection]] = {}
        self._lock = threading.Lock()
        self._swept = time.monotonic()

    def take(self, target: Target, origin: httpcore2.Origin) -> httpcore2.HTTP11Connection:
        """A connection nobody else has, the one used last or a new one. Raises: what `backend` raises."""
        while (waiting := self._pop(_place(target))) is not None:
            if not waiting.has_expired():
                return waiting
            waiting.close()
        stream = self._backend.connect_tcp(target.host, target.port)
        if target.scheme == "https":
            stream = stream.start_tls(self._tls, server_hostname=target.host)
        return _Aging(origin, stream, self._keep)

    def give_back(self, target: Target, connection: httpcore2.HTTP11Connection) -> None:
        """The request on `connection` is over; it waits for the next one if it can take one."""
        surplus = [] if connection.is_idle() else [connection]
        with self._lock:
            waiting = self._idle.setdefault(_place(target), deque())
            if not surplus:
                waiting.append(connection)
            if len(waiting) > self._keep.most:
                surplus.append(waiting.popleft())
            surplus += self._expired()
        for each in surplus:
            each.close()

    def close(self) -> None:
        """Close what waits."""
        with self._lock:
            left, self._idle = self._idle, {}
        for waiting in left.values():
            for each in waiting:
                each.close()

    def _pop(self, place: Place) -> httpcore2.HTTP11Connection | None:
        with self._lock:
            waiting = self._idle.get(place)
            return waiting.pop() if waiting else None

    def _expired(self) -> list[httpcore2.HTTP11Connection]:
        """What waited too long, looked for once in a while: nobody may ever ask for that place again."""
        if time.monotonic() - self._swept < _SWEEP_S:
            return []
        self._swept = time.monotonic()
        found = []
        for place, waiting in list(self._idle.items()):
            while waiting and waiting[0].has_expired():
                found.append(waiting.popleft())
            if not waiting:
                del self._idle[place]
        return found


class _Aging(httpcore2.HTTP11Connection):
    def __init__(self, origin: httpcore2.Origin, stream: httpcore2.NetworkStream, keep: Keep) -> None:
        super().__init__(origin, stream, keepalive_expiry=keep.idle_s)
        self._ends = time.monotonic() + keep.longest_s

    def has_expired(self) -> bool:
        return time.monotonic() > self._ends or super().has_expired()


def _place(target: Target) -> Place:
    return target.scheme, target.host, target.port
