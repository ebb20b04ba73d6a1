"""The spool of this host: keeps entries durably, many threads in one commit, and says what it keeps.

Owns no file itself. What it can not keep it refuses, so that the sender comes again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from services.errors import Overloaded, TooLarge
from services.logs import get_logger
from services.spool.database import SpoolFailed
from services.spool.entry import Entry
from services.spool.file import Kept, Row, SpoolFile
from services.streams.blobs import BODY_LIMIT
from services.streams.event import StreamId
from services.telemetry.counters import Counters

COUNT = "turnwright_spool_total"
FULL_RETRY_S = 30.0
# A commit takes milliseconds as a rule; who waits longer is better told to come again while he listens.
COMMIT_S = 1.5


class Spool:
    """What waits on this host. Thread-safe."""

    def __init__(self, file: SpoolFile, counters: Counters) -> None:
        self._file, self._counters = file, counters
        self._lock, self._committing = threading.Lock(), threading.Lock()
        self._pending: list[_Ticket] = []
        self._logger = get_logger("spool")

    def put(self, entry: Entry) -> bool:
        """Keep `entry`, on the disk when this returns; False when it was waiting already.

        Raises: TooLarge, Overloaded when the spool is full, SpoolFailed.
        """
        if len(bytes(entry.event.payload)) > BODY_LIMIT:
            raise TooLarge("an event", BODY_LIMIT)
        match self._kept(entry):
            case "new":
                self._counters.add(COUNT, "spooled")
                return True
            case "known":
                self._counters.add(COUNT, "duplicate")
                return False
            case "full":
                self._counters.add(COUNT, "full")
                raise Overloaded("spool_full", retry_after_s=FULL_RETRY_S)

    def holds(self, stream: StreamId) -> bool:
        """Whether entries of `stream` wait here; False where the file can not tell.

        A log store that answers is not left alone for the sake of a broken file.
        """
        try:
            return self._file.holds(stream)
        except SpoolFailed as error:
            self._logger.error("spool_unreadable", reason=error.reason)
            return False

    def has_room(self) -> bool:
        """Whether another entry would be kept."""
        try:
            return self._file.has_room()
        except SpoolFailed:
            return False

    def oldest(self) -> list[Row]:
        """What is to be taken to the log next: rows of one stream, in order. Raises: SpoolFailed."""
        return self._file.oldest()

    def drained(self, rows: Sequence[Row]) -> None:
        """These are in the log. Raises: SpoolFailed."""
        self._file.remove(rows)
        self._counters.add(COUNT, "drained", by=len(rows))

    def reject(self, row: Row, reason: str) -> None:
        """The log will never take this one. Raises: SpoolFailed."""
        self._file.reject(row, reason)
        self._counters.add(COUNT, "rejected")
        stream = row.entry.stream if row.entry else ""
        self._logger.error("spool_rejected", stream=stream, reason=reason)

    def _kept(self, entry: Entry) -> Kept:
        """Whoever gets to commit takes along what others want kept meanwhile."""
        ticket = _Ticket(entry)
        with self._lock:
            self._pending.append(ticket)
        if not self._committing.acquire(timeout=COMMIT_S):
            self._counters.add(COUNT, "failed")
            raise SpoolFailed("busy")
        try:
            if ticket.end is None:
                with self._lock:
                    tickets, self._pending = self._pending, []
                self._commit(tickets)
        finally:
            self._committing.release()
        return ticket.told()

    def _commit(self, tickets: Sequence[_Ticket]) -> None:
        entries = [ticket.entry for ticket in tickets]
        ends: Sequence[Kept | SpoolFailed]
        try:
            try:
                ends = self._file.add(entries)
            except SpoolFailed as error:
                if error.reason not in _CORRUPT:
                    raise
                ends = self._file.add(entries)
        except SpoolFailed as error:
            self._counters.add(COUNT, "failed", by=len(tickets))
            self._logger.error("spool_failed", reason=error.reason, entries=len(tickets))
            ends = [error] * len(tickets)
        except Exception as error:
            # What is wrong with one is not to be the others' loss.
            self._logger.error("spool_failed", reason=type(error).__name__, entries=len(tickets))
            ends = [self._alone(entry) for entry in entries]
        for ticket, end in zip(tickets, ends, strict=True):
            ticket.end = end

    def _alone(self, entry: Entry) -> Kept | SpoolFailed:
        try:
            return self._file.add([entry])[0]
        except SpoolFailed as error:
            self._counters.add(COUNT, "failed")
            return error
        except Exception as error:
            # Its sender is told to come again; nobody else may wait for that.
            self._counters.add(COUNT, "failed")
            self._logger.error("spool_refused", reason=type(error).__name__)
            return SpoolFailed("defect")


# Moved aside by now: the next commit begins a new file.
_CORRUPT = ("corrupt", "notadb")


class _Ticket:
    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.end: Kept | SpoolFailed | None = None

    def told(self) -> Kept:
        if self.end is None:
            raise SpoolFailed("busy")
        if isinstance(self.end, SpoolFailed):
            raise SpoolFailed(self.end.reason)
        return self.end
