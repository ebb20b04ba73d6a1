"""Threads that a letter of ours began: what we said there is what their sessions know first.

So whoever replies is heard, as in every thread that we are in, and knows of whom to ask what it was about.
"""

from __future__ import annotations

from services.channels.contract import Letter
from services.channels.said import said
from services.streams.event import EventInput, StreamId
from services.streams.log import Log
from services.streams.vocabulary import InputReceived, StreamCreated


def begin(log: Log, thread: str, letter: Letter) -> None:
    """Make the session of `thread`, which `letter` began. May be repeated. Raises: Unavailable, Overloaded."""
    source = thread.partition(":")[0]
    words = f"[you began this thread with what you said in the session {letter.session}]\n\n{said(letter)}"
    input = InputReceived(text=words, policy="silent", source=source)
    created = StreamCreated(agent=letter.turn.agent or "default", parent=letter.session, source=source)
    log.append(
        StreamId(thread),
        [EventInput.of("input.received", input, key=f"begun:{letter.marker}")],
        create=EventInput.of("stream.created", created),
        existing_wins=True,
        is_activity=False,
    )
