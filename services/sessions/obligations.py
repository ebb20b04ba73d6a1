"""Who waits for an answer in a thread: the open obligations of all sessions, for people. Bounded page by page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from services.errors import Defect
from services.outbox.entries import entry_id
from services.outbox.owing import Owing, Waiting, reduce
from services.sessions.scans import place_of, recent
from services.sessions.values import Value
from services.streams.event import StreamId
from services.streams.keys import is_session
from services.streams.log import Log
from services.streams.store import translated
from services.streams.vocabulary import InputReceived

OBLIGATIONS = "obligations"
# Sessions that one page looks at; a page may be short, or empty, and still have a cursor.
LOOKED_AT = 1000
_CHUNK = 100
_NOTHING = (None, msgspec.json.encode(Owing()))


class Obligation(Value, frozen=True, kw_only=True):
    """Somebody waits in `thread` for the answer to the input at `offset` of `session`. Times are epoch milliseconds.

    `waiting`; `overdue`, since the thread was told that it takes longer (`noted_at`); or `answering`: the answer is
    the entry `reply` of the outbox.
    """

    session: str
    offset: int
    thread: str
    state: Literal["waiting", "overdue", "answering"]
    since: int
    noted_at: int | None = None
    reply: str = ""


class ObligationPage(Value, frozen=True, kw_only=True):
    """Open obligations, those of a session together. `cursor` asks for the next page, None when there is none."""

    obligations: tuple[Obligation, ...]
    cursor: str | None


class Obligations:
    """Reads what the sessions of one store owe to threads."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def page(self, *, cursor: str | None = None, limit: int = 100) -> ObligationPage:
        """At least `limit` of them unless there are fewer, sessions with the newest activity first.

        Raises: Invalid (cursor), Unavailable.
        """
        place = place_of(cursor) if cursor else None
        found: list[Obligation] = []
        for _ in range(LOOKED_AT // _CHUNK):
            page = recent(self._log, place, _CHUNK)
            sessions = [stream for stream, _ in page if is_session(stream)]
            for stream in self._owing(sessions):
                found += self._of(stream)
            if len(page) < _CHUNK:
                return ObligationPage(obligations=tuple(found), cursor=None)
            place = (page[-1][1], page[-1][0])
            if len(found) >= limit:
                break
        return ObligationPage(obligations=tuple(found), cursor=f"{place[0]}@{place[1]}" if place else None)

    def _owing(self, sessions: Sequence[StreamId]) -> Iterator[StreamId]:
        """Those that remember an obligation, or have news that nobody looked at."""
        keys = self._log.keys
        with translated():
            pipe = self._log.store.client.pipeline(transaction=False)
            for stream in sessions:
                pipe.hmget(keys.meta(stream), f"s:{OBLIGATIONS}")
                pipe.zscore(keys.due(keys.shard(stream), "advance"), stream)
            answers = pipe.execute()
        for stream, (state,), due in zip(sessions, answers[::2], answers[1::2], strict=True):
            if state not in _NOTHING or due is not None:
                yield stream

    def _of(self, stream: StreamId) -> Iterator[Obligation]:
        loaded = self._log.load(stream)
        stored = loaded.fields.get(f"s:{OBLIGATIONS}")
        try:
            owing = Owing() if stored is None else msgspec.json.decode(stored, type=Owing)
        except msgspec.DecodeError as error:
            raise Defect("what a session owes can not be read") from error
        for event in loaded.events:
            owing = reduce(owing, event)
        for thread, waiting in owing.waiting.items():
            for offset, one in waiting.items():
                yield _waiting(stream, thread, offset, one)
        for entry, inputs in owing.replying.items():
            for offset in inputs:
                yield from self._answering(stream, offset, entry_id(stream, entry))

    def _answering(self, stream: StreamId, offset: int, reply: str) -> Iterator[Obligation]:
        event = self._log.get(stream, offset)
        if event is not None and event.type == "input.received":
            yield Obligation(
                session=stream,
                offset=offset,
                thread=event.decode(InputReceived).reply_to or "",
                state="answering",
                since=event.created_at,
                reply=reply,
            )


def _waiting(stream: StreamId, thread: str, offset: int, one: Waiting) -> Obligation:
    return Obligation(
        session=stream,
        offset=offset,
        thread=thread,
        state="overdue" if one.noted_at else "waiting",
        since=one.since,
        noted_at=one.noted_at or None,
    )
