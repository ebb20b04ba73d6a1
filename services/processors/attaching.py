"""Attaching configured processors to streams that were there before: one event each, at an easy pace."""

from __future__ import annotations

import threading
from collections.abc import Callable

from services.errors import Overloaded, TurnwrightError, Unavailable
from services.processors.registry import ProcessorRegistry
from services.processors.rows import rows_of
from services.streams.event import EventInput, StreamId
from services.streams.log import Log
from services.streams.vocabulary import ProcessorAttached

PAGE = 100
PAUSE_S = 0.2


def attachment_key(name: str) -> str:
    """The idempotency key of an attachment: whoever attaches, a stream hears of it once."""
    return f"processor.attached:{name}"


class Attacher:
    """Goes once through all streams, newest first. Any number may run: the event's key is the same."""

    def __init__(
        self, log: Log, registry: ProcessorRegistry, *, failed: Callable[[TurnwrightError], None]
    ) -> None:
        self._log, self._registry, self._failed = log, registry, failed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="attach", daemon=True)

    def start(self) -> None:
        """Begin, if anything is configured."""
        if self._registry.patterns:
            self._thread.start()

    def stop(self) -> None:
        """Stop after the current page; the next start goes through all streams again."""
        self._stop.set()

    def _run(self) -> None:
        before: int | None = None
        while not self._stop.is_set():
            try:
                page = self._log.recent(before_ms=before, limit=PAGE)
                for stream, _ in page:
                    self._attach_or_tell(stream)
            except (Unavailable, Overloaded) as error:
                self._failed(error)
                self._stop.wait(5)
                continue
            if len(page) < PAGE:
                return
            # The last millisecond comes again, as others may share it; a page of nothing else moves on.
            last = page[-1][1]
            before = last + 1 if before != last + 1 else last
            self._stop.wait(PAUSE_S)

    def _attach_or_tell(self, stream: StreamId) -> None:
        try:
            self._attach(stream)
        except (Unavailable, Overloaded):
            raise
        except TurnwrightError as error:
            # A stream that can not be read is no reason to leave the others.
            self._failed(error)

    def _attach(self, stream: StreamId) -> None:
        wanted = {name for name, _ in self._registry.patterns if self._registry.matches(name, stream)}
        if not wanted:
            return
        rows = rows_of(self._log.load(stream, limit=0).fields)
        for name in sorted(wanted - rows.keys()):
            version = self._registry.all()[name].contract.version
            event = EventInput.of(
                "processor.attached",
                ProcessorAttached(name=name, version=version),
                key=attachment_key(name),
            )
            self._log.append(stream, [event], if_exists=True, existing_wins=True, is_activity=False)
