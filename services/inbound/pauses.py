"""Telling who asks in a thread that the session is paused: their delivery waits, and nobody else would say so."""

from __future__ import annotations

from services.channels.said import paused_meanwhile
from services.streams.event import EventInput, StreamId
from services.streams.log import Log
from services.streams.thread_events import NoteRequested
from services.streams.vocabulary import InputReceived


def tell_pause(log: Log, session: StreamId, waiting: InputReceived) -> None:
    """Say so in the thread that `waiting` came from, once for each pause. Raises: Unavailable, Overloaded."""
    if waiting.reply_to is None or waiting.policy == "silent":
        return
    loaded = log.load(session, limit=0)
    if loaded.paused is None:
        return
    paused_at = loaded.fields.get("paused_at", b"0").decode()
    note = NoteRequested(text=paused_meanwhile(session), reply_to=waiting.reply_to, by="routes")
    key = f"note:paused:{paused_at}:{waiting.reply_to}"
    log.append(
        session,
        [EventInput.of("reply.note_requested", note, key=key)],
        if_exists=True,
        existing_wins=True,
        is_activity=False,
    )
