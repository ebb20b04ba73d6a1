"""The transport under a client of httpx2: its sockets can be shut, nobody waits for a connection.

Proxies and certificates come from the environment, as with the client's own transport.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import httpx2

from services.outgoing.connection import WatchedBackend
from services.outgoing.watch import Watch, active_watch

_IDLE_CONNECTIONS = 256


class WatchedTransport(httpx2.HTTPTransport):
    """Serves any number of threads, each within `watching`. Idle connections are kept for `idle_s` seconds."""

    def __init__(self, base_url: str, *, idle_s: float) -> None:
        super().__init__(
            limits=httpx2.Limits(
                max_connections=None, max_keepalive_connections=_IDLE_CONNECTIONS, keepalive_expiry=idle_s
            ),
            proxy=_proxy_for(httpx2.URL(base_url)),
        )
        # httpx2 does not pass on the `network_backend` that httpcore2's pools take. The conformance suite
        # cancels calls on reused connections before they are answered, which fails without it.
        self._pool._network_backend = WatchedBackend()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request, watched by whoever it is for."""
        watch = active_watch()
        request.extensions = {**request.extensions, "trace": watch.trace}
        response = super().handle_request(request)
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _Body(response.stream, watch)
        return response


class _Body(httpx2.SyncByteStream):
    """The connection is released before others may use it."""

    def __init__(self, inner: httpx2.SyncByteStream, watch: Watch) -> None:
        self._inner, self._watch = inner, watch

    def __iter__(self) -> Iterator[bytes]:
        yield from self._inner

    def close(self) -> None:
        """Let the connection go."""
        self._watch.release()
        self._inner.close()


def _proxy_for(url: httpx2.URL) -> str | None:
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy or urllib.request.proxy_bypass(url.host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
