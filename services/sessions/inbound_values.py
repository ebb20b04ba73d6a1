"""What people are told about deliveries: the values of the ledger, as they go out in JSON."""

from __future__ import annotations

from typing import Literal

from services.diagnosis.wait import WaitReason
from services.sessions.values import Value

DeliveryState = Literal["pending", "routed", "ignored", "dropped", "failed", "unknown"]

# An inbound stream is named as a session is.
DELIVERY_ID = r"inbound:[A-Za-z0-9._:-]{1,192}@[1-9][0-9]{0,14}"


class Delivery(Value, frozen=True, kw_only=True):
    """One webhook that was received, and what became of it. Times are epoch milliseconds.

    `kind` is the sender's word for it; `sent_at` its time, or 0. `reason` is a safe code for whatever was not
    routed. A routed one is the event at `offset` of `session`; of a failed one the event at `notice` of `session`
    tells in its thread, 0 where nobody is told. `wait` says why a pending one is, and `unknown`
    that what it came to is too far on in a long stream.
    """

    id: str
    source: str
    kind: str
    key: str
    sent_at: int
    received_at: int
    state: DeliveryState
    reason: str = ""
    session: str = ""
    offset: int = 0
    notice: int = 0
    ended_at: int | None = None
    wait: WaitReason | None = None


class DeliveryDetail(Value, frozen=True, kw_only=True):
    """One delivery with what was sent: `body` verbatim, and those of its `headers` that say what it is."""

    delivery: Delivery
    headers: dict[str, str]
    body: str


class DeliveryPage(Value, frozen=True, kw_only=True):
    """Deliveries, the newest first. `cursor` asks for the next page, None when there is none."""

    deliveries: tuple[Delivery, ...]
    cursor: str | None
