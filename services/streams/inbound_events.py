"""The shapes of what happens in inbound streams: webhooks as they came, and what became of each."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from services.streams.payload import Payload, Policy

InboundState = Literal["routed", "ignored", "dropped", "failed"]


Short = Annotated[str, msgspec.Meta(max_length=200)]


class Delivery(Payload, frozen=True):
    """What a webhook says, as the channel of a package reads it.

    `key` is the sender's own name of it: what comes again with the same one counts once. What has the same `thread`
    keeps its order and is one session, `<channel>:<thread>`; a digest stands for a thread that is not made of letters,
    digits, `.`, `_` and `-`. `reply_to` is where it is answered, as the channel reads it in `Letter.input.reply_to`
    behind `<channel>:`; empty: nowhere. The rest is what routes may ask for: `event` is the channel's word for what
    happened, `parts` are what the template of a session may name besides thread, place and author.
    """

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    thread: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    text: Annotated[str, msgspec.Meta(max_length=262_144)]
    reply_to: Annotated[str, msgspec.Meta(max_length=1_000)] = ""
    event: Short = ""
    place: Short = ""
    author: Short = ""
    label: Short = ""
    is_bot: bool = False
    parts: Annotated[dict[Short, Short], msgspec.Meta(max_length=50)] = msgspec.field(default_factory=dict)


class InboundReceived(Payload, frozen=True):
    """A webhook, verbatim: `body` as it was sent, and of its `headers` those that say what it is. A body too large
    for the log is not there: `left_out` is how many bytes it had.

    `kind` is the sender's word for the event. `sent_at` is the sender's time in epoch milliseconds, or when this
    host received it; 0 where neither is known. `told` is what the channel of a package read in it.
    """

    source: str
    kind: str
    body: str
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    sent_at: int = 0
    told: Delivery | None = None
    left_out: int = 0


class InboundQueued(Payload, frozen=True):
    """The delivery at offset `delivery` belongs to `session`, where `job` takes it.

    `does` is what it does there: says something, changes or takes back what was said, or commands. Only if the
    session `is_there`, unless the delivery begins one.
    """

    job: str
    delivery: int
    session: str
    destination: str
    does: Literal["say", "edit", "withdraw", "command"] = "say"
    agent: str = "default"
    policy: Policy = "follow_up"
    debounce_ms: int = 0
    is_there: bool = False


class InboundSettled(Payload, frozen=True):
    """What became of the delivery at offset `delivery`; `reason` is a safe code for all but the routed.

    A routed one is the event at `offset` of `session`. Of a failed one the note at `notice` of `session` tells in its
    thread; 0 where nobody is told.
    """

    delivery: int
    state: InboundState
    reason: str = ""
    session: str = ""
    offset: int = 0
    job: str = ""
    notice: int = 0
