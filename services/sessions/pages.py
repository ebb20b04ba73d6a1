"""Pages: what people read about sessions. Every one is bounded, whatever the length of a session."""

from __future__ import annotations

import msgspec

from services.diagnosis.wait import WaitReason
from services.errors import NotFound
from services.sessions.conversation import SPOKEN, Edits, conversation
from services.sessions.inspection import Explain, inspect
from services.sessions.outbox import Outbox, OutboxFilter
from services.sessions.reply_waits import reply_wait
from services.sessions.scans import SCAN_PAGE, backward, forward, place_of, recent
from services.sessions.values import (
    EventPage,
    EventView,
    SessionDetail,
    SessionLine,
    SessionPage,
    Status,
    Why,
)
from services.streams.event import Event, Offset, StreamId
from services.streams.keys import is_session
from services.streams.log import Log
from services.streams.tail import Tail
from services.streams.vocabulary import StreamCreated

LIST_SCAN = 1000
# Of a session's replies that wait, so many are told of.
REPLIES = 5


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which sessions a list shows; `q` is a part of the id."""

    status: Status | None = None
    source: str | None = None
    q: str | None = None


class Pages:
    """Reads sessions of one store."""

    def __init__(self, log: Log, explain: Explain, outbox: Outbox) -> None:
        self._log = log
        self._explain = explain
        self._outbox = outbox

    def events(
        self, stream: StreamId, *, after: Offset = 0, limit: int = 100, types: frozenset[str] | None = None
    ) -> EventPage:
        """Events after `after`, oldest first. Looks a bounded way ahead for `types`, so that
        a page may be short: `next` is the offset to go on after. An `after` beyond the head counts as the
        head. Raises: NotFound, Unavailable."""
        head = self._head(stream)
        found: list[Event] = []
        seen = after = min(after, head)
        for event in forward(self._log, stream, after=after, page=SCAN_PAGE if types else limit):
            seen = event.offset
            found += [event] if types is None or event.type in types else []
            if len(found) == limit:
                break
        return EventPage(events=tuple(EventView.of(each) for each in found), head=max(head, seen), next=seen)

    def tail(self, stream: StreamId, *, after: Offset) -> Tail:
        """Follow a session live, from `after` on, or from its head if that is earlier.

        Raises: NotFound, Unavailable.
        """
        return self._log.tail(stream, after=min(after, self._head(stream)))

    def show(self, stream: StreamId, *, before: Offset | None = None, limit: int = 50) -> SessionDetail:
        """One session with a page of its conversation. Raises: NotFound, Unavailable."""
        seen = inspect(self._log, self._explain, stream)
        first = self._log.get(stream, 1)
        if first is None:
            raise NotFound(f"session {stream}")
        spoken, start = self._spoken(stream, before or seen.head + 1, limit)
        edits = Edits(forward(self._log, stream, after=start))
        return SessionDetail(
            session=stream,
            agent=first.decode(StreamCreated).agent,
            status=seen.status,
            wait=seen.wait,
            head=seen.head,
            created_at=first.created_at,
            usage=seen.agent.usage,
            processors=seen.processors,
            conversation=tuple(conversation(spoken, edits)),
            before=start if start > 1 else None,
        )

    def why(self, stream: StreamId) -> Why:
        """Why the session is not idle, and what keeps its replies. Raises: NotFound, Unavailable."""
        seen = inspect(self._log, self._explain, stream)
        replies = self._reply_waits(stream) if seen.has_replies else ()
        return Why(session=stream, status=seen.status, wait=seen.wait, now=seen.now, replies=replies)

    def _reply_waits(self, stream: StreamId) -> tuple[WaitReason, ...]:
        page = self._outbox.page(OutboxFilter(session=stream), limit=REPLIES)
        return tuple(wait for entry in page.entries if (wait := reply_wait(entry)) is not None)

    def newest(self, wanted: Filter, *, cursor: str | None = None, limit: int = 50) -> SessionPage:
        """Sessions by newest activity. Looks at most `LIST_SCAN` sessions far for those `wanted`; a page
        may be short, or empty, and still have a `cursor`. Raises: Invalid (cursor), Unavailable."""
        place = place_of(cursor) if cursor else None
        lines: list[SessionLine] = []
        for _ in range(LIST_SCAN // 100):
            page = recent(self._log, place, 100)
            for stream, updated_at in page:
                place = (updated_at, stream)
                line = self._line(stream, updated_at, wanted)
                lines += [line] if line else []
                if len(lines) == limit:
                    return SessionPage(sessions=tuple(lines), cursor=f"{updated_at}@{stream}")
            if len(page) < 100:
                return SessionPage(sessions=tuple(lines), cursor=None)
        return SessionPage(sessions=tuple(lines), cursor=f"{place[0]}@{place[1]}" if place else None)

    def _head(self, stream: StreamId) -> Offset:
        head = self._log.head(stream)
        if head == 0:
            raise NotFound(f"session {stream}")
        return head

    def _spoken(self, stream: StreamId, before: Offset, limit: int) -> tuple[list[Event], Offset]:
        found: list[Event] = []
        start = before
        for event in backward(self._log, stream, before=before):
            start = event.offset
            found += [event] if event.type in SPOKEN else []
            if len(found) == limit:
                break
        return found[::-1], start

    def _line(self, stream: StreamId, updated_at: int, wanted: Filter) -> SessionLine | None:
        source = stream.partition(":")[0]
        # What came in as it came is no session, unless it is asked for.
        if not is_session(stream) and wanted.source is None:
            return None
        if wanted.source not in (None, source) or (wanted.q or "") not in stream:
            return None
        try:
            status = inspect(self._log, self._explain, stream).status
        except NotFound:
            return None
        if wanted.status not in (None, status):
            return None
        return SessionLine(session=stream, source=source, status=status, updated_at=updated_at)
