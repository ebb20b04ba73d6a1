"""A request's hold on the socket that serves it, and which request a thread is sending.

Clients and SDKs take nothing along to the transport beneath them; a thread sends one request at a time, though.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import httpcore2

from services.sockets import shut


class Stopped(Exception):
    """Somebody stopped what this thread was doing."""


class Stoppable(Protocol):
    """Whoever a request is for."""

    def starting(self) -> None:
        """Called right before the first byte leaves; raises when it must not."""

    def on_cancel(self, shut: Callable[[], None]) -> Callable[[], None]:
        """Run `shut` on a cancel, from another thread, at once if that is past; returns how to take it back."""

    def is_cancelled(self) -> bool:
        """Whether somebody stopped it."""


class Watch:
    """One request's hold on the socket that serves it.

    `is_started`: its first byte was allowed to leave. `limit_s`: no read lasts longer, when set. `ends`: by the
    monotonic clock, nothing lasts beyond it, when set.
    """

    def __init__(self, call: Stoppable, *, ends: float | None = None) -> None:
        self._call = call
        self._forget: Callable[[], None] = _nothing
        self._ends = ends
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
        """Raises: Stopped."""
        if self._call.is_cancelled():
            raise Stopped

    def left_s(self, *limits: float | None) -> float | None:
        """The seconds a next step may take, at most the least of `limits`; None without any.

        Raises: TimeoutError when none is left.
        """
        own = None if self._ends is None else self._ends - time.monotonic()
        left = min((limit for limit in (own, *limits) if limit is not None), default=None)
        if own is not None and own <= 0:
            raise TimeoutError
        return left

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
    """The watch of the request this thread is sending."""
    if _active.watch is None:
        raise RuntimeError("a request that nobody watches")
    return _active.watch


def _is_tunnel(request: object) -> bool:
    return isinstance(request, httpcore2.Request) and request.method == b"CONNECT"


def _nothing() -> None:
    return None
