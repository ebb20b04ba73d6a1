"""Live event streams (server-sent events), and the cap on how many requests may hold a thread for long."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import msgspec
from flask import Response

from services.errors import Overloaded, Unavailable
from services.sessions.values import EventView
from services.streams.event import Event
from services.streams.tail import Delta, Tail
from web.connections import watch_caller

_STEP_S = 0.5
_RETRY_MS = 1000


class LiveRequests:
    """Requests that hold a thread for long: live streams and waiting prompts.

    At most `most` at once, so that others always find a thread. All end soon after `is_stopping` turns true.
    """

    def __init__(self, most: int, *, heartbeat_s: float, is_stopping: Callable[[], bool]) -> None:
        self._free = threading.BoundedSemaphore(most)
        self._heartbeat_s = heartbeat_s
        self.is_stopping = is_stopping

    def enter(self) -> bool:
        """Take a place if one is free. Who got one calls `leave` once."""
        return not self.is_stopping() and self._free.acquire(blocking=False)

    def leave(self) -> None:
        """Give a place back."""
        self._free.release()

    def follow(self, tail: Tail, types: frozenset[str] | None) -> Response:
        """Answer with what `tail` brings until the client leaves or the server stops.

        Events of other `types` are left out. Raises: Overloaded (no place free), Unavailable.
        """
        if not self.enter():
            raise Overloaded("too many live streams", retry_after_s=5)
        held = ExitStack()
        held.callback(self.leave)
        try:
            held.enter_context(tail)
        except BaseException:
            held.close()
            raise
        has_left = watch_caller()
        response = Response(self._frames(tail, types, has_left), mimetype="text/event-stream")
        response.headers["X-Accel-Buffering"] = "no"
        response.call_on_close(held.close)
        return response

    def _frames(
        self, tail: Tail, types: frozenset[str] | None, has_left: Callable[[], bool]
    ) -> Iterator[bytes]:
        yield b"retry: %d\n\n" % _RETRY_MS
        spoken_at = time.monotonic()
        while not self.is_stopping() and not has_left():
            try:
                news = tail.next(_STEP_S)
            except Unavailable:
                return
            frames = b"".join(_frame(each) for each in news if _is_wanted(each, types))
            if not frames and time.monotonic() - spoken_at >= self._heartbeat_s:
                frames = b": still here\n\n"
            if frames:
                spoken_at = time.monotonic()
                yield frames


def _is_wanted(news: Event | Delta, types: frozenset[str] | None) -> bool:
    return isinstance(news, Delta) or types is None or news.type in types


def _frame(news: Event | Delta) -> bytes:
    if isinstance(news, Delta):
        return b"event: delta\ndata: " + msgspec.json.encode(news) + b"\n\n"
    return b"id: %d\ndata: " % news.offset + msgspec.json.encode(EventView.of(news)) + b"\n\n"
