"""What the log of a session knows of its replies: for whom each was, and how it ended. Bounded, read backwards."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from services.channels.http.targets import shown
from services.outbox.entries import CALLBACK
from services.sessions.scans import backward
from services.streams.event import Event, JobId, Offset, StreamId
from services.streams.log import Log
from services.streams.vocabulary import (
    AttemptEnded,
    DiscardRequested,
    InputReceived,
    ReplyQueued,
    ReplySettled,
    TurnSettled,
)

# After the head of any session.
_BEYOND = 2**53
_ENDS = ("reply.delivered", "reply.failed", "reply.uncertain")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One reply. `end` is the type of its settlement, empty while it is open; times in epoch milliseconds.

    `code` tells more of the last attempt's error. `replayed_as` is the newest entry that holds the same reply
    again, `settled` the offset of its turn's end, or of where its note was first queued.
    """

    queued: ReplyQueued
    queued_at: int
    end: str = ""
    error: str = ""
    status: int = 0
    code: str = ""
    ended_at: int | None = None
    is_discarded: bool = False
    replayed_as: str = ""
    settled: Offset = 0

    @property
    def origin(self) -> str:
        """The first entry that held this reply."""
        return self.queued.origin or self.queued.job


class Letters:
    """Reads about replies in the logs of one store."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def find(self, stream: StreamId, jobs: Collection[JobId]) -> dict[JobId, Told]:
        """What is known of `jobs`; one that was queued too long ago is not found. Raises: Unavailable."""
        search = _Search(set(jobs))
        for event in backward(self._log, stream, before=_BEYOND):
            search.see(event)
            if search.is_over:
                break
        return search.told

    def address(self, stream: StreamId, told: Told) -> str:
        """Where the reply goes, as far as people may see it; empty where its input is gone."""
        if told.queued.reply_to:
            return told.queued.reply_to
        event = self._log.get(stream, told.queued.inputs[0]) if told.queued.inputs else None
        if event is None or event.type != "input.received":
            return ""
        said = event.decode(InputReceived)
        if told.queued.channel != CALLBACK:
            return said.reply_to or ""
        return "" if said.callback is None else shown(said.callback)


class _Search:
    """Goes through events, newest first, until everything about the wanted jobs was seen."""

    def __init__(self, wanted: set[JobId]) -> None:
        self._wanted = wanted
        self._turns: dict[int, set[JobId]] = {}
        self._ends: dict[str, Event] = {}
        self._codes: dict[str, str] = {}
        self._discarded: set[str] = set()
        self._replays: dict[str, str] = {}
        self.told: dict[JobId, Told] = {}

    @property
    def is_over(self) -> bool:
        return not self._wanted and not self._turns

    def see(self, event: Event) -> None:
        match event.type:
            case "reply.queued":
                self._queued(event, event.decode(ReplyQueued))
            case "reply.attempt_failed":
                failed = event.decode(AttemptEnded)
                self._codes.setdefault(failed.job, failed.code)
            case "reply.discard_requested":
                self._discarded.add(event.decode(DiscardRequested).job)
            case "turn.settled":
                for job in self._turns.pop(event.decode(TurnSettled).turn, ()):
                    self.told[job] = msgspec.structs.replace(self.told[job], settled=event.offset)
            case type if type in _ENDS:
                self._ends.setdefault(event.decode(ReplySettled).job, event)

    def _queued(self, event: Event, queued: ReplyQueued) -> None:
        job = JobId(queued.job)
        if job in self._wanted:
            self._wanted.discard(job)
            self.told[job] = self._ended(
                Told(
                    queued=queued,
                    queued_at=event.created_at,
                    code=self._codes.get(job, ""),
                    is_discarded=job in self._discarded,
                    replayed_as=self._replays.get(queued.origin or queued.job, ""),
                    settled=queued.settled or (event.offset if queued.note else 0),
                )
            )
            if not self.told[job].settled:
                self._turns.setdefault(queued.turn, set()).add(job)
        self._replays.setdefault(queued.origin or queued.job, queued.job)

    def _ended(self, told: Told) -> Told:
        end = self._ends.get(told.queued.job)
        if end is None:
            return told
        settled = end.decode(ReplySettled)
        return msgspec.structs.replace(
            told, end=end.type, error=settled.error, status=settled.status, ended_at=end.created_at
        )
