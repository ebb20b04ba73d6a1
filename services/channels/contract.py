"""What a channel is: a letter in, a receipt out, errors of a few known kinds.

Channels neither retry nor store anything: order, repetition and the record belong to the outbox.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from services.streams.event import JobId, StreamId
from services.streams.vocabulary import InputReceived, TurnSettled


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One reply on its way out. `entry` is its place in the outbox.

    `marker` is the same in every attempt and in a person's replay, and differs from every other letter's of
    every namespace: it is how a receiver, or we, recognise it. `input` says where to, `turn` what; unless there is
    a `note` to be said in its place: then neither `turn` nor the words of `input` mean anything.
    `is_repeat`: an earlier attempt may have arrived. `timeout_s` bounds the whole attempt.
    """

    entry: JobId
    marker: str
    session: StreamId
    queued_at: int
    input: InputReceived
    turn: TurnSettled
    note: str = ""
    is_repeat: bool = False
    timeout_s: float = 15.0


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """It arrived. `status` is the HTTP status it was accepted with; `begun` the session of a thread that it began."""

    status: int = 200
    begun: str = ""


DeliveryErrorKind = Literal[
    "not_sent",  # no byte left this host: safe to repeat
    "rejected",  # the other side said no, for now: repeated, as it may be mended there
    "overloaded",  # come back after retry_after_s
    "gone",  # the destination wants nothing more, ever
    "refused",  # we must not or can not send there: final
    "ambiguous",  # it may have arrived
    "cancelled",  # we stopped it ourselves
]


class DeliveryError(Exception):
    """An attempt that did not end well. `code` is a safe, low-cardinality detail: never text from outside.

    `is_limit`: all that is wrong is that we ask too often, which waiting mends for sure.
    """

    def __init__(
        self,
        kind: DeliveryErrorKind,
        *,
        code: str = "",
        status: int = 0,
        retry_after_s: float | None = None,
        is_limit: bool = False,
    ) -> None:
        super().__init__(f"{kind}: {code}" if code else kind)
        self.kind: DeliveryErrorKind = kind
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s
        self.is_limit = is_limit


class Sending(Protocol):
    """The channel's side of one running attempt."""

    def starting(self) -> None:
        """Call right before the first byte leaves. Raises: DeliveryError("cancelled") when it must not."""

    def on_cancel(self, shut: Callable[[], None]) -> Callable[[], None]:
        """Register how to free a blocked socket, from another thread; runs at once if already cancelled.

        Returns how to take it back, which waits for a `shut` that is running.
        """

    def is_cancelled(self) -> bool:
        """Whether somebody stopped this attempt: an error that follows is then `cancelled`."""


class Answering(Protocol):
    """What is done with an answer that is there, before its delivery counts as done. Raises nothing."""

    def __call__(self, letter: Letter, sending: Sending) -> None: ...


class Channel(Protocol):
    """An outside system. One instance serves many threads.

    `settle_ms`: how long what a dead holder sent may take to show up, before a successor acts. 0 where
    a repeat does no harm.
    """

    name: str
    settle_ms: int

    def send(self, letter: Letter, sending: Sending) -> Receipt:
        """Deliver once. Raises: DeliveryError."""

    def find(self, letter: Letter, sending: Sending) -> Receipt | None:
        """Look for the marker of an earlier attempt whose end nobody knows; None when it is not there.

        A channel whose receivers drop repeats by themselves answers None at once. Raises: DeliveryError
        ("ambiguous" when it can not tell).
        """
