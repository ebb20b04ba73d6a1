"""The ledger of triggers for people: what became of each due time of the last days."""

from __future__ import annotations

from itertools import islice, takewhile

from services.errors import NotFound
from services.schedule.ledger import Ledger, Place, Row, unseen
from services.schedule.names import stream_of
from services.sessions.trigger_values import TickPage, TickState, TickView
from services.sessions.triggers import Triggers
from services.streams.event import Event, StreamId
from services.streams.log import Log
from services.streams.near import newest_first

DAY_MS = 86_400_000
KEPT_DAYS = 7
CURSOR = r"[0-9]{1,16}\.[A-Za-z0-9.-]{1,60}"
# Four for each tick of a week, and room.
MOST_EVENTS = 60_000
# The clock of a store may have been set back by this much between a tick and what is written of it.
SLACK_MS = 3_600_000
_PAGE = 1000


class Ticks:
    """Reads what `triggers` came to."""

    def __init__(self, log: Log, triggers: Triggers) -> None:
        self._log, self._triggers = log, triggers

    def page(
        self,
        trigger: str,
        *,
        since: int | None = None,
        cursor: str | None = None,
        state: TickState | None = None,
        limit: int = 100,
    ) -> TickPage:
        """The newest `limit` ticks due from `since` (epoch ms, absent: a day ago), before the one at `cursor`.

        Raises: NotFound, Unavailable.
        """
        stream = stream_of(trigger)
        known = self._triggers.known(stream)
        if not known.head:
            raise NotFound(f"trigger {trigger}")
        start = max(known.now - DAY_MS if since is None else since, known.now - (KEPT_DAYS + 1) * DAY_MS)
        ledger = Ledger(self._events(stream, start - SLACK_MS))
        ledger.passed += unseen(known.state, known.now)
        self._define(stream, ledger)
        before = (known.now + DAY_MS, "") if cursor is None else _place(cursor)
        rows = ledger.newest_first(since=start, before=before)
        wanted = (row for row in rows if state in (None, row.state))
        found = list(islice(wanted, limit + 1))
        after = _cursor(found[limit - 1]) if len(found) > limit else None
        return TickPage(ticks=tuple(_shown(row) for row in found[:limit]), cursor=after)

    def _events(self, stream: StreamId, since: int) -> list[Event]:
        newest = takewhile(lambda one: one.created_at >= since, newest_first(self._log, stream, page=_PAGE))
        return list(islice(newest, MOST_EVENTS))[::-1]

    def _define(self, stream: StreamId, ledger: Ledger) -> None:
        """Times that were passed over may belong to a definition that is older than what was read."""
        for wanted in {one.definition for one in ledger.passed} - ledger.definitions.keys():
            event = self._log.get(stream, wanted)
            for told in [event] if event is not None else self._log.read(stream, limit=1):
                ledger.learn(told)


def _cursor(row: Row) -> str:
    return f"{row.due}.{row.tick}"


def _place(cursor: str) -> Place:
    due, _, tick = cursor.partition(".")
    return int(due), tick


def _shown(row: Row) -> TickView:
    return TickView(
        tick=row.tick,
        due=row.due,
        state=row.state,
        reason=row.reason,
        recorded_at=row.recorded_at or None,
        claimed_at=row.claimed_at or None,
        dispatched_at=row.dispatched_at or None,
        retry_at=row.retry_at or None,
        attempts=row.attempts,
        session=row.session,
        offset=row.offset,
        outcome=row.outcome,
    )
