"""Telling who asks in a thread that a delivery never reached its session: once, and once for all that fail together.

Appends a note to that session, which the outbox posts as it posts replies. A session that is not there begins with it.
"""

from __future__ import annotations

from itertools import islice

import msgspec

from services.channels.said import never_reached
from services.inbound.contract import Source
from services.streams.event import EventInput, Offset, StreamId
from services.streams.inbound_events import InboundQueued, InboundReceived
from services.streams.log import Log
from services.streams.near import newest_first
from services.streams.thread_events import NoteRequested
from services.streams.vocabulary import StreamCreated

BY = "unreached"
PAGE = 40
# Of a session in which more happened since, the note on an earlier one is not found, and there is another.
LOOKED_AT = 400


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that failed for good: what came, and when (epoch ms). `reason` and `error` are safe codes of why."""

    queued: InboundQueued
    received: InboundReceived
    received_at: int
    reason: str
    error: str

    @property
    def session(self) -> StreamId:
        """Where it was to go; empty for a command that names none."""
        return StreamId(self.queued.session)


class Unreached:
    """Notes in the sessions of `log`."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def offset(self, failed: Failed, source: Source) -> Offset:
        """Where in its session what was said is after all; 0 where it is not. Raises: Unavailable."""
        if failed.queued.does != "say" or not failed.session:
            return 0
        key = source.key_of(failed.received)
        return self._log.offset_of(failed.session, key) or 0

    def is_waited_for(self, failed: Failed, source: Source) -> bool:
        """Whether somebody would wait for an answer, or for what they wanted to be done. Raises: Unavailable."""
        queued = failed.queued
        if not failed.session or queued.policy == "silent" or queued.does == "withdraw":
            return False
        if not queued.is_there:
            return True
        if queued.does == "edit":
            key = source.key_of(failed.received)
            return self._log.offset_of(failed.session, key) is not None
        return self._log.head(failed.session) > 0

    def tell(self, failed: Failed, thread: str) -> Offset:
        """Say so in `thread`, unless that was said since it came; the note's offset.

        Raises: Unavailable, Overloaded.
        """
        told = self._told(failed, thread)
        if told:
            return told
        text = never_reached(failed.error or failed.reason, failed.session)
        note = NoteRequested(text=text, reply_to=thread, by=BY)
        event = EventInput.of("reply.note_requested", note, key=f"note:{BY}:{failed.queued.job}")
        created = StreamCreated(agent=failed.queued.agent, source=failed.received.source)
        done = self._log.append(
            failed.session, [event], create=EventInput.of("stream.created", created), existing_wins=True
        )
        return done.offsets[0]

    def _told(self, failed: Failed, thread: str) -> Offset:
        """The note that tells it already: whoever reads that knows of everything that was said before it."""
        if not self._log.head(failed.session):
            return 0
        for event in islice(newest_first(self._log, failed.session, page=PAGE), LOOKED_AT):
            if event.created_at < failed.received_at:
                return 0
            if event.type == "reply.note_requested":
                note = event.decode(NoteRequested)
                if (note.by, note.reply_to) == (BY, thread):
                    return event.offset
        return 0
