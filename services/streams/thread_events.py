"""The shapes of what a session owes to the threads it is talked to in, apart from the answers themselves."""

from __future__ import annotations

from typing import Literal

from services.streams.payload import Payload

NOTE_LIMIT = 4_000

ObligationEnd = Literal["replied", "ignored", "failed", "uncertain"]


class NoteRequested(Payload, frozen=True):
    """Somebody, `by`, wants `text` said in the thread `reply_to`, which is no answer of a turn.

    Of more than `NOTE_LIMIT` characters the rest is left out. A status (`is_status`) makes room for whatever comes
    after it.
    """

    text: str
    reply_to: str
    by: str = "operator"
    is_status: bool = False


class ObligationOpened(Payload, frozen=True):
    """Who said `inputs` waits for an answer in the thread `reply_to`, which is told if none came by `due_at`."""

    inputs: tuple[int, ...]
    reply_to: str
    due_at: int


class ObligationNoted(Payload, frozen=True):
    """The thread is told that the answer to `inputs` takes longer; at `due_at` it counts as failed."""

    inputs: tuple[int, ...]
    reply_to: str
    due_at: int


class ObligationSettled(Payload, frozen=True):
    """What became of the answer to `inputs`, once for each. `reason` is a safe code for all but the replied.

    `job` is the entry of the outbox that it shows by; empty where nothing was to be sent any more.
    """

    inputs: tuple[int, ...]
    how: ObligationEnd
    reason: str = ""
    job: str = ""


class HistoryForgotten(Payload, frozen=True):
    """From here on the model is told nothing of what was said before, in the same session."""

    by: str = "operator"
