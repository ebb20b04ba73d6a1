"""Taking what waits on this host to the log, oldest first, each stream in order; by one process of the host.

A row is removed after its append, so a death in between appends it again, which its key makes no second event.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence

from services.errors import Conflict, Defect, Overloaded, Refused, Unavailable
from services.faults import Faults
from services.logs import get_logger
from services.spool.database import SpoolFailed
from services.spool.entry import Appender
from services.spool.file import Row, SpoolFile
from services.spool.gate import FileLock
from services.spool.reach import Reach
from services.spool.spool import Spool

EVERY_S = 0.5


class Drainer:
    """A thread that asks a lost store whether it is back, and drains while it has the host's drainer lock."""

    def __init__(
        self, appender: Callable[[], Appender], spool: Spool, file: SpoolFile, reach: Reach, *, faults: Faults
    ) -> None:
        self._appender, self._spool, self._file, self._reach = appender, spool, file, reach
        self._faults = faults
        self._lock = FileLock(file.folder / "draining")
        self._stop = threading.Event()
        self._logger = get_logger("spool")
        self._complaint = ""
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the append at hand; what waits goes on waiting. A process may as well just end."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=3)
        self._lock.free()
        self._file.close()

    def round(self) -> int:
        """Drain what can be drained now, if nobody else does; how many rows went. Raises: SpoolFailed, OSError."""
        if not self._file.is_there():
            self._file.prepare()
        if not self._reach.look() or not self._lock.take():
            return 0
        gone = 0
        try:
            while not self._stop.is_set() and (rows := self._spool.oldest()):
                self._faults.at("drain.taken")
                gone += self._take(rows)
        except SpoolFailed:
            raise
        except Unavailable as error:
            self._reach.lost(error)
        except (Overloaded, Conflict) as error:
            self._complain(error.reason)
        else:
            self._complaint = ""
        if gone:
            self._logger.info("spool_drained", rows=gone)
            if not self._spool.oldest():
                self._file.shrink()
        return gone

    def _take(self, rows: Sequence[Row]) -> int:
        """Append rows together; one by one if that is refused, so that only whose fault it is stays behind."""
        entries = [row.entry for row in rows if row.entry is not None]
        try:
            if len(entries) < len(rows):
                raise Defect("a row can not be read")
            self._appender().append(entries)
        except (Refused, Defect) as error:
            if len(rows) == 1:
                self._spool.reject(rows[0], "unreadable" if not entries else _code(error))
                return 1
            return sum(self._take([row]) for row in rows)
        self._faults.at("drain.appended")
        self._spool.drained(rows)
        self._faults.at("drain.removed")
        return len(rows)

    def _run(self) -> None:
        try:
            self._file.prepare()
        except SpoolFailed as error:
            self._logger.error("spool_unusable", reason=error.reason)
        while not self._stop.wait(EVERY_S):
            try:
                self.round()
            except SpoolFailed as error:
                self._complain(error.reason)
            except Exception as error:
                # The edge of this thread: without it nothing of what waits would ever arrive.
                self._complain(type(error).__name__)

    def _complain(self, reason: str) -> None:
        """Once, not in every round."""
        if reason != self._complaint:
            self._complaint = reason
            self._logger.warning("spool_not_drained", reason=reason)


def _code(error: Exception) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()
