"""Where a webhook is kept: in its stream, or on this host while the log store can not be reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from services.errors import Unavailable
from services.faults import Faults
from services.spool.entry import Appender, Entry
from services.spool.reach import Reach
from services.spool.spool import Spool
from services.telemetry.context import current

Outcome = Literal["kept", "duplicate", "spooled"]


class Keeper(Protocol):
    """Keeps webhooks. What `keep` returned from is durable. `keep` raises TooLarge, Overloaded, Unavailable."""

    def keep(self, entry: Entry) -> Outcome: ...


class InLog:
    """Keeps them in their streams. `appender` raises Unavailable while there is none."""

    def __init__(self, appender: Callable[[], Appender]) -> None:
        self._appender = appender

    def keep(self, entry: Entry) -> Outcome:
        """See `Keeper`."""
        done = self._appender().append([entry])
        return "duplicate" if done.duplicates[0] else "kept"


class OrSpooled:
    """Keeps them in their streams, or in `spool` while `reach` is gone or earlier ones of a stream wait there.

    `appender` must answer or fail within the senders' patience.
    """

    def __init__(self, appender: Callable[[], Appender], spool: Spool, reach: Reach, faults: Faults) -> None:
        self._in_log, self._spool, self._reach, self._faults = InLog(appender), spool, reach, faults

    def keep(self, entry: Entry) -> Outcome:
        """See `Keeper`."""
        if not self._reach.is_away and not self._spool.holds(entry.stream):
            try:
                return self._in_log.keep(entry)
            except Unavailable as error:
                self._reach.lost(error)
        # What it belongs to is known here, and by nobody who takes it from the spool.
        event, beginning = (each.under(current()) for each in (entry.event, entry.beginning))
        is_new = self._spool.put(msgspec.structs.replace(entry, event=event, beginning=beginning))
        self._faults.at("spool.kept")
        return "spooled" if is_new else "duplicate"
