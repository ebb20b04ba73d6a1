"""What a sign is that a turn runs, as one channel shows it in a thread, and which turn it is shown of."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from services.channels.contract import Letter, Sending
from services.streams.event import StreamId
from services.streams.vocabulary import InputReceived

Doing = Literal["", "model", "retry", "tool"]


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """The turn that a session is at, or was at last; `said` is the first of its inputs.

    `began_at` is epoch milliseconds, of a turn that does not run any more too. `is_change`: what it does now is no
    reason to show more than a change of what is shown already.
    """

    session: StreamId
    said: InputReceived
    is_running: bool
    began_at: int
    doing: Doing = ""
    is_change: bool = False


class Signs(Protocol):
    """How one channel shows it. `after_s` is how long a turn has run then; `follows`: steps of the turn show too.

    `show` and `end` raise DeliveryError, and do nothing for what did not come through their channel.
    """

    after_s: float
    follows: bool

    def name(self, turn: Turn) -> str:
        """What stands for the sign: the same for turns that share one; empty for what did not come through here."""

    def show(self, turn: Turn, sending: Sending, *, timeout_s: float) -> None:
        """Show that it runs, or what it does. May be repeated."""

    def end(self, turn: Turn, sending: Sending, *, timeout_s: float) -> None:
        """Take back what may be shown. May be repeated."""


def answered_by(letter: Letter) -> Turn:
    """The turn that a letter, which is no note, answers."""
    return Turn(
        session=letter.session,
        said=letter.input,
        is_running=False,
        began_at=letter.turn.started_at or letter.queued_at,
    )
