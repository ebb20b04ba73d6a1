"""The outbox for people: what is owed to others, what could not be delivered, and what to do about it.

A replay and a discard are one event each; what follows is the processors' business.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import get_args

import msgspec

from services.errors import Invalid, NotFound
from services.outbox.listing import Place, Row, Shelf
from services.sessions.letters import Letters, Told
from services.sessions.values import (
    SESSION_ID,
    Commanded,
    OutboxEntry,
    OutboxPage,
    OutboxState,
    WrongState,
)
from services.streams.event import EventInput, JobId, StreamId
from services.streams.keys import stream_of
from services.streams.log import Log
from services.streams.vocabulary import DiscardRequested, ReplayRequested, ReplyQueued

ENTRY_ID = rf"{SESSION_ID}@r[1-9][0-9]{{0,14}}"
# Entries that one page looks at; a page may be short, or empty, and still have a cursor.
INSPECTED = 300

OPEN: tuple[OutboxState, ...] = ("queued", "sending", "backing_off")
ENDED: tuple[OutboxState, ...] = tuple(state for state in get_args(OutboxState) if state not in OPEN)
# The states of a job that is not at its end, as people say them.
STANDINGS = {"requested": "it waits", "started": "it is being sent"}

_entry_id = re.compile(ENTRY_ID)


class OutboxFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries a list shows."""

    state: OutboxState | None = None
    session: StreamId | None = None


class Outbox:
    """Reads the outboxes of one store, and writes what people decide about their entries."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._shelf = Shelf(log.store, log.keys)
        self._letters = Letters(log)

    def page(self, wanted: OutboxFilter, *, cursor: str | None = None, limit: int = 50) -> OutboxPage:
        """Entries that are open or ended undelivered, those of a session together, oldest first.

        Raises: Invalid (cursor), Unavailable.
        """
        after = self._place(cursor) if cursor else None
        shards = range(after[0] if after else 0, self._log.keys.shards)
        if wanted.session is not None:
            shards = range(self._log.keys.shard(wanted.session), self._log.keys.shard(wanted.session) + 1)
        entries: list[OutboxEntry] = []
        left = INSPECTED
        for shard in shards:
            listing = self._shelf.find(shard, session=wanted.session, after=after)
            rows = list(islice(self._shelf.rows(listing), left))
            left -= len(rows)
            for entry in self._entries(rows, wanted, listing.now):
                entries.append(entry)
                if len(entries) == limit:
                    return OutboxPage(entries=tuple(entries), cursor=entry.id)
            if not left:
                return OutboxPage(entries=tuple(entries), cursor=rows[-1].job)
        return OutboxPage(entries=tuple(entries), cursor=None)

    def replay(self, entry: str) -> Commanded:
        """Send an undelivered reply again, as a new entry. Asking twice asks once.

        Raises: NotFound, WrongState (open, delivered, replayed already), Unavailable.
        """
        job, row = self._look(entry)
        if row.state in STANDINGS:
            raise WrongState(f"it is not at its end: {STANDINGS[row.state]}")
        told = self._ended(job)
        if told.replayed_as:
            raise WrongState(f"it was replayed already, as {told.replayed_as}")
        if not told.settled:
            raise WrongState("its turn is too far back in the session")
        asked = ReplayRequested(
            job=job,
            origin=told.origin,
            channel=told.queued.channel,
            turn=told.queued.turn,
            inputs=told.queued.inputs,
            destination=told.queued.destination,
            settled=told.settled,
            note=told.queued.note,
            reply_to=told.queued.reply_to,
        )
        # By its key, two who ask at once ask once.
        return self._append(job, EventInput.of("reply.replay_requested", asked, key=f"replay:{job}"))

    def discard(self, entry: str) -> Commanded:
        """Deliver an entry no more; one that ended undelivered needs nobody's attention any more.

        Raises: NotFound, WrongState (delivered), Unavailable.
        """
        job, row = self._look(entry)
        if row.state not in STANDINGS and _state(self._ended(job)) == "discarded":
            stream = stream_of(job)
            return Commanded(session=stream, offset=self._log.head(stream), changed=False)
        return self._append(job, EventInput.of("reply.discard_requested", DiscardRequested(job=job)))

    def _append(self, job: JobId, event: EventInput) -> Commanded:
        stream = stream_of(job)
        done = self._log.append(stream, [event], if_exists=True, existing_wins=True)
        return Commanded(session=stream, offset=done.offsets[0], changed=not done.duplicates[0])

    def _entries(self, rows: list[Row], wanted: OutboxFilter, now: int) -> Iterator[OutboxEntry]:
        known: dict[StreamId, dict[JobId, Told]] = {}
        jobs: dict[StreamId, list[JobId]] = {}
        for row in rows:
            jobs.setdefault(stream_of(row.job), []).append(row.job)
        for row in rows:
            if wanted.state is not None and (wanted.state in ENDED) != row.is_letter:
                continue
            stream = stream_of(row.job)
            if stream not in known:
                known[stream] = self._letters.find(stream, jobs[stream])
            told = known[stream].get(row.job)
            state = _open_state(row, now)
            if row.is_letter:
                state = "failed" if told is None else _state(told)
            if wanted.state in (None, state):
                address = "" if told is None else self._letters.address(stream, told)
                yield _entry(row, told or _unknown(row), state, address)

    def _look(self, entry: str) -> tuple[JobId, Row]:
        if not _entry_id.fullmatch(entry):
            raise NotFound(f"entry {entry}")
        job = JobId(entry)
        return job, self._shelf.look([job])[0]

    def _ended(self, job: JobId) -> Told:
        """How an entry ended that is not open. Raises: NotFound, WrongState (delivered, or about to be)."""
        told = self._letters.find(stream_of(job), [job]).get(job)
        if told is None:
            raise NotFound(f"entry {job}")
        if told.end == "reply.delivered":
            raise WrongState("it was delivered")
        if not told.end:
            raise WrongState("it is about to be sent or settled: ask again")
        return told

    def _place(self, cursor: str) -> Place:
        if not _entry_id.fullmatch(cursor):
            raise Invalid("cursor", "is not one that a page gave")
        return self._shelf.place(JobId(cursor))


def _open_state(row: Row, now: int) -> OutboxState:
    if row.state == "started":
        return "sending"
    return "backing_off" if row.error and row.due is not None and row.due > now else "queued"


def _state(told: Told) -> OutboxState:
    """What became of a reply that ended undelivered."""
    match told.end, told.error:
        case _ if told.is_discarded:
            return "discarded"
        case "reply.uncertain", _:
            return "uncertain"
        case _, "poisoned" | "gone" | "discarded" as known:
            return known
        case _:
            return "failed"


def _unknown(row: Row) -> Told:
    """What is told of a reply that was queued too far back to be found."""
    queued = ReplyQueued(job=row.job, channel="", turn=0, inputs=(), destination=row.destination)
    return Told(queued=queued, queued_at=row.since)


def _entry(row: Row, told: Told, state: OutboxState, address: str) -> OutboxEntry:
    return OutboxEntry(
        id=row.job,
        session=stream_of(row.job),
        channel=told.queued.channel,
        destination=told.queued.destination,
        address=address,
        state=state,
        turn=told.queued.turn,
        attempts=row.attempts,
        since=told.queued_at,
        next_attempt_at=row.due if state == "backing_off" else None,
        ended_at=told.ended_at,
        error=told.error or row.error,
        code=told.code,
        status=told.status,
        replayed_as=told.replayed_as,
    )
