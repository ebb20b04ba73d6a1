"""The shapes of what a session owes to the threads it is talked to in, apart from the answers themselves."""

from __future__ import annotations

from services.streams.payload import Payload

NOTE_LIMIT = 4_000


class NoteRequested(Payload, frozen=True):
    """Somebody, `by`, wants `text` said in the thread `reply_to`, which is no answer of a turn.

    Of more than `NOTE_LIMIT` characters the rest is left out.
    """

    text: str
    reply_to: str
    by: str = "operator"
