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

from services.channels.http.targets import Target

# Shorter than common servers keep an idle connection: theirs must not end under a request of ours.
IDLE_S = 4.0
IDLE_CONNECTIONS = 64
_SWEEP_S = 1.0
_TLS_PROTOCOLS = ["http/1.1"]

Place = tuple[str, str, int]


class Connections:
    """Connections made by `backend`, over TLS where a target asks for it. Thread-safe.

    At most `most` idle ones to one place; none is used or kept after `IDLE_S`.
    """

    def __init__(
        self, backend: httpcore2.NetworkBackend, tls: ssl.SSLContext, *, most: int = IDLE_CONNECTIONS
    ) -> None:
        tls.set_alpn_protocols(_TLS_PROTOCOLS)
        self._backend, self._tls, self._most = backend, tls, most
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
        return httpcore2.HTTP11Connection(origin, stream, keepalive_expiry=IDLE_S)

    def give_back(self, target: Target, connection: httpcore2.HTTP11Connection) -> None:
        """The request on `connection` is over; it waits for the next one if it can take one."""
        surplus = [] if connection.is_idle() else [connection]
        with self._lock:
            waiting = self._idle.setdefault(_place(target), deque())
            if not surplus:
                waiting.append(connection)
            if len(waiting) > self._most:
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


def _place(target: Target) -> Place:
    return target.scheme, target.host, target.port
