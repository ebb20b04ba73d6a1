"""A call's hold on the socket that serves it, and which call a thread is sending.

The SDKs take nothing along to the transport beneath them; a thread sends one request at a time, though.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import httpcore2

from services.llm.provider import Call, ProviderError
from services.sockets import shut


class Watch:
    """One call's hold on the socket that serves it.

    `is_started`: its first byte was allowed to leave. `limit_s`: no read lasts longer, when set.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._forget: Callable[[], None] = _nothing
        self.is_started = False
        self.limit_s: float | None = None

    def hold(self, opened: socket.socket) -> None:
        """From now on a cancel shuts `opened` and no other socket."""
        self.release()
        self._forget = self._call.on_cancel(lambda: shut(opened))

    def release(self) -> None:
        """Cancels no longer reach the socket; a shutdown that is running has ended when this returns."""
        forget, self._forget = self._forget, _nothing
        forget()

    def check(self) -> None:
        """Raises: ProviderError("cancelled")."""
        if self._call.is_cancelled():
            raise ProviderError("cancelled")

    def trace(self, event: str, details: Mapping[str, object]) -> None:
        """The `trace` extension of a request: asks to start right before the first byte of it leaves."""
        if event == "http11.send_request_headers.started" and not _is_tunnel(details.get("request")):
            self._call.starting()
            self.is_started = True


class _Active(threading.local):
    watch: Watch | None = None


_active = _Active()


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """What this thread connects to and writes to meanwhile is held by `watch`."""
    before, _active.watch = _active.watch, watch
    try:
        yield
    finally:
        _active.watch = before


def active_watch() -> Watch:
    """The watch of the call this thread is sending."""
    if _active.watch is None:
        raise RuntimeError("a request of a vendor's client that nobody watches")
    return _active.watch


def _is_tunnel(request: object) -> bool:
    return isinstance(request, httpcore2.Request) and request.method == b"CONNECT"


def _nothing() -> None:
    return None
