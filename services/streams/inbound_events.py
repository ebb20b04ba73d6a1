"""The shapes of what happens in inbound streams: webhooks as they came, and what became of each."""

from __future__ import annotations

from typing import Literal

import msgspec

from services.streams.payload import Payload, Policy

InboundState = Literal["routed", "ignored", "dropped", "failed"]


class InboundReceived(Payload, frozen=True):
    """A webhook, verbatim: `body` as it was sent, and of its `headers` those that say what it is.

    `kind` is the sender's word for the event. `sent_at` is the sender's time in epoch milliseconds, or when this
    host received it; 0 where neither is known.
    """

    source: str
    kind: str
    body: str
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    sent_at: int = 0


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

    A routed one is the event at `offset` of `session`.
    """

    delivery: int
    state: InboundState
    reason: str = ""
    session: str = ""
    offset: int = 0
    job: str = ""
