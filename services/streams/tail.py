"""Following a stream live: subscribe first, then read, so that nothing falls between.

Notices only say that there is news; the events are always read from the log. Token deltas ride on
the same channel, are never stored, and may be lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

import msgspec

from services.streams.event import Event, Offset
from services.streams.store import Store, translated


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of an answer that is being written now. `seq` counts pieces of one run."""

    job: str
    attempt: int
    seq: int
    text: str


class Tail:
    """One reader of one stream. Use as a context manager, in one thread."""

    RECHECK_S = 1.0

    def __init__(
        self, store: Store, channel: str, read: Callable[[Offset], list[Event]], after: Offset
    ) -> None:
        self._store = store
        self._channel = channel
        self._read = read
        self.after = after

    def __enter__(self) -> Tail:
        self._client = self._store.connect(timeout_s=5)
        self._pubsub = self._client.pubsub()
        try:
            with translated():
                self._pubsub.subscribe(self._channel)
        except BaseException:
            self._close()
            raise
        self._checked = 0.0
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        try:
            self._pubsub.close()
            self._client.close()
        finally:
            self._store.forget(self._client)

    def next(self, timeout_s: float) -> list[Event] | list[Delta]:
        """What came since, waiting up to `timeout_s`; empty when nothing did. Raises: Unavailable."""
        ends = time.monotonic() + timeout_s
        while True:
            if time.monotonic() - self._checked >= self.RECHECK_S:
                events = self._catch_up()
                if events:
                    return events
            left = ends - time.monotonic()
            if left <= 0:
                return []
            with translated():
                notice = self._pubsub.get_message(
                    ignore_subscribe_messages=False, timeout=min(left, self.RECHECK_S)
                )
            if notice is None:
                continue
            found = self._heed(notice["data"])
            if found:
                return found

    def _heed(self, data: object) -> list[Event] | list[Delta]:
        if isinstance(data, bytes) and data.startswith(b"{"):
            return [msgspec.json.decode(data, type=Delta)]
        if isinstance(data, bytes) and data.isdigit() and int(data) <= self.after:
            return []
        return self._catch_up()

    def _catch_up(self) -> list[Event]:
        self._checked = time.monotonic()
        events = self._read(self.after)
        if events:
            self.after = events[-1].offset
        return events
