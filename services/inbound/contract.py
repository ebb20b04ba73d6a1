"""What a source of webhooks is: whom to believe, where a delivery is kept, and what it is to a session.

A request is verified and read where it arrives; what it means is decided downstream, from what was kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from services.channels.contract import Sending
from services.streams.event import Offset, StreamId
from services.streams.inbound_events import InboundQueued, InboundReceived
from services.streams.payload import Policy
from services.streams.vocabulary import InputReceived

Does = Literal["say", "edit", "withdraw", "command"]
# Behind the key of what was said it is that of the delivery that takes it back, which may be there first.
TAKEN_BACK = ":taken_back"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook as it arrived. `headers` in their order, names in any case; `path` is the last part of its address.

    `received_s` is epoch seconds.
    """

    path: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    received_s: float

    def header(self, name: str) -> str:
        """The first header of that lower-case name, or empty."""
        return next((value for key, value in self.headers if key.lower() == name), "")


class Arrived(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a request: in `stream`, once for all that come with the same `key`.

    `answer` is what it is acknowledged with, JSON. `answer_at` takes another answer for a while: an address that is
    as secret as a token, and no part of what is kept.
    """

    stream: StreamId
    key: str
    received: InboundReceived
    answer: bytes = b""
    answer_at: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A request that only wants an answer, and is not kept. `body` is JSON."""

    body: bytes


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery does in `session`; a command that names none means the one last spoken to in that place.

    Only if the session `is_there`, unless it begins one.
    """

    session: StreamId
    does: Does = "say"
    agent: str = "default"
    policy: Policy = "follow_up"
    debounce_ms: int = 0
    is_there: bool = False


class Ignored(msgspec.Struct, frozen=True):
    """A delivery nothing follows from; `reason` is a safe code."""

    reason: str


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What is said in the session, once for all with the same `key`."""

    input: InputReceived
    key: str


class Commanded(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody, `by`, gives a command of `services.inbound.commands`; once for all with the same `key`.

    It is answered in the thread `reply_to`, or through `respond`, which raises DeliveryError; `begin` shows that it
    was heard. `refusal`: why it must not be done. `input` is the offset of what is to be asked again, 0: the last.
    """

    word: str
    key: str
    by: str
    refusal: str = ""
    input: Offset = 0
    reply_to: str = ""
    begin: Callable[[], None] | None = None
    respond: Callable[[str], None] | None = None


class Dropped(msgspec.Struct, frozen=True):
    """A delivery that was meant for us and must not be answered; `reason` is a safe code."""

    reason: str


class NotYet(Exception):
    """It can not be told now: ask again after `delay_s`, None: soon. `reason` is a safe code."""

    def __init__(self, reason: str, *, delay_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.delay_s = reason, delay_s


class Source(Protocol):
    """Who sends webhooks. One instance serves many threads.

    `off` says why it takes none, empty when it does. `most_bytes` bounds a body.
    """

    name: str
    off: str
    most_bytes: int

    def verify(self, request: Request) -> None:
        """Check that the request is from whom it says, and fresh. Raises: Unauthorized, whatever it is."""

    def read(self, request: Request) -> Arrived | Answer:
        """What to keep of a verified request. Raises: Invalid."""

    def decide(self, received: InboundReceived) -> Order | Ignored:
        """What follows from it. Pure: the same for the same delivery and configuration."""

    def compose(
        self, queued: InboundQueued, received: InboundReceived, sending: Sending, *, is_first: bool
    ) -> Said | Commanded | Dropped:
        """The input or the command that it is; what has to be asked outside is asked within `sending`.

        `is_first`: the session begins with it. Raises: NotYet, DeliveryError, Unavailable, Overloaded.
        """

    def key_of(self, received: InboundReceived) -> str:
        """The key of what it changes or takes back."""

    def thread_of(self, received: InboundReceived, sending: Sending | None) -> str:
        """Where whoever sent it is told that it came to nothing, as in `InputReceived.reply_to`.

        Empty where nobody is to be told: bots, ourselves, and who may not call us, as far as that can be known; with
        no `sending` nobody is asked. Raises: DeliveryError (cancelled).
        """


Sources = Mapping[str, Source]
