"""Kept HTTP connections, one for each thread and server, from the standard library alone."""

from __future__ import annotations

import http.client
import select
import threading
from urllib.parse import urlsplit


class KeptConnections:
    """Connections to the server at `base_url` (http only). Safe for any number of threads."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError("an http:// address with a host is needed")
        self._host, self._port = parts.hostname, parts.port or 80
        self._local = threading.local()

    def ready(self, *, connect_s: float, idle_s: float) -> http.client.HTTPConnection:
        """This thread's connection, open and at rest; `idle_s` bounds each wait for bytes. Raises: OSError."""
        kept: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if kept is None or kept.sock is None or _has_news(kept):
            self.drop()
            kept = http.client.HTTPConnection(self._host, self._port, timeout=connect_s)
            kept.connect()
            self._local.connection = kept
        kept.sock.settimeout(idle_s)
        return kept

    def drop(self) -> None:
        """Close this thread's connection: whatever it still brings belongs to nobody."""
        kept: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if kept is not None:
            kept.close()
            self._local.connection = None


def _has_news(kept: http.client.HTTPConnection) -> bool:
    """Bytes or an end while nothing was asked: the server closed it."""
    poll = select.poll()
    poll.register(kept.sock, select.POLLIN)
    return bool(poll.poll(0))
