"""The channel of a package as a source: it believes and reads a webhook where that arrives, the routes do the rest.

None of its code runs later, so that whatever is wrong with it can keep no delivery from coming to an end.
"""

from __future__ import annotations

from typing import Protocol, cast

import msgspec

from services.channels.border import Broken, Busy, Stuck
from services.channels.contract import Sending
from services.channels.installed import Installed
from services.errors import Defect, Forged, Invalid, Overloaded
from services.inbound.contract import Answer, Arrived, Dropped, Ignored, Order, Request, Said
from services.inbound.rules import Rules, Subject
from services.inbound.standard import MOST_BYTES, named
from services.streams.event import StreamId
from services.streams.inbound_events import Delivery, InboundQueued, InboundReceived
from services.streams.vocabulary import InputReceived

# The sender waits, and a thread of the web server does.
WITHIN_S = 5.0
MOST_ANSWER = 65_536


class Receiver(Protocol):
    """The part of a package's channel that takes webhooks, at `/webhooks/in/<name>`. Serves many threads.

    Both methods have a few seconds and ask nobody outside. An optional `off` says why it takes none.
    """

    def verify(self, request: Request) -> None:
        """Check that the request is from whom it says, and fresh. Raises: Forged."""

    def read(self, request: Request) -> Delivery | Answer:
        """What a verified request says, or what to answer one that says nothing. Raises: Invalid."""


class PluggedSource:
    """See `Source`. `receiver` is the package's object."""

    most_bytes = MOST_BYTES

    def __init__(self, installed: Installed, receiver: object, rules: Rules) -> None:
        # Senders are told this before anybody knows them: the package's own words are for who runs it.
        self.name, self.off = installed.name, "not set up" if installed.off else ""
        self._border, self._rules = installed.border, rules
        self._receiver = cast(Receiver, receiver)

    def verify(self, request: Request) -> None:
        """See `Source`. Whatever goes wrong, the request is not believed."""
        try:
            # A check that answers instead of raising may mean no: only None is a yes.
            answer: object = self._border.call(
                "verify", lambda: self._receiver.verify(request), within_s=WITHIN_S, known=Forged
            )
            if answer is not None:
                raise self._border.broken("verify")
        except (Stuck, Busy):
            raise Overloaded("channel_busy") from None
        except (Forged, Broken):
            raise Forged(f"the channel {self.name} does not believe it") from None

    def read(self, request: Request) -> Arrived | Answer:
        """See `Source`. Each thread has a stream of its own."""
        try:
            body = request.body.decode()
            told = self._told(request)
        except (Stuck, Busy):
            raise Overloaded("channel_busy") from None
        except (Invalid, Broken, UnicodeDecodeError):
            raise Invalid("body", f"is nothing that the channel {self.name} understands") from None
        if isinstance(told, Answer):
            return told
        received = InboundReceived(
            source=self.name,
            kind=told.event,
            body=body,
            sent_at=int(request.received_s * 1000),
            told=told,
        )
        return Arrived(
            stream=StreamId(f"inbound:{self.name}:{named(told.thread)}"),
            key=self.key_of(received),
            received=received,
        )

    def decide(self, received: InboundReceived) -> Order | Ignored:
        """See `Source`."""
        told = received.told
        if told is None:
            # It came when the name was another source's.
            return Ignored("of_another_kind")
        known = {"thread": told.thread, "place": told.place, "author": told.author}
        subject = Subject(
            event=told.event,
            place=told.place,
            thread=StreamId(f"{self.name}:{named(told.thread)}"),
            author=told.author,
            is_bot=told.is_bot,
            label=told.label,
            text=told.text,
            # In a session's id they must stay what they are: parts of one.
            parts={name: named(value) for name, value in {**told.parts, **known}.items()},
        )
        return self._rules.order(subject)

    def compose(
        self, queued: InboundQueued, received: InboundReceived, sending: Sending, *, is_first: bool
    ) -> Said | Dropped:
        """See `Source`."""
        told = received.told
        if told is None or not told.text.strip():
            return Dropped("nothing_said")
        said = InputReceived(
            text=told.text,
            policy=queued.policy,
            debounce_ms=queued.debounce_ms,
            source=self.name,
            author=told.author or None,
            reply_to=f"{self.name}:{told.reply_to}" if told.reply_to else None,
            message=told.key,
            is_bot=told.is_bot,
        )
        return Said(input=said, key=self.key_of(received))

    def key_of(self, received: InboundReceived) -> str:
        """See `Source`."""
        if received.told is None:
            raise Defect("a delivery that no channel has read")
        return f"{self.name}:{received.told.key}"

    def thread_of(self, received: InboundReceived, sending: Sending | None) -> str:
        """See `Source`."""
        told = received.told
        return f"{self.name}:{told.reply_to}" if told and told.reply_to and not told.is_bot else ""

    def _told(self, request: Request) -> Delivery | Answer:
        """What the package says, held against what it may say. Raises: Invalid, Broken, Busy."""
        told: object = self._border.call(
            "read", lambda: self._receiver.read(request), within_s=WITHIN_S, known=Invalid
        )
        if isinstance(told, Answer) and isinstance(told.body, bytes) and len(told.body) <= MOST_ANSWER:
            return told
        if not isinstance(told, Delivery):
            raise self._border.broken("read")
        try:
            return msgspec.json.decode(msgspec.json.encode(told), type=Delivery)
        except (msgspec.MsgspecError, TypeError, ValueError, RecursionError):
            raise self._border.broken("read") from None
