"""What goes over the wire: messages in, messages out, and what an answer that is no yes means."""

from __future__ import annotations

import httpx2
import msgspec

from turnwright import DeliveryError


class Posted(msgspec.Struct, tag="message"):
    """Somebody said something in a room."""

    id: str
    room: str
    user: str
    text: str


class Ping(msgspec.Struct, tag="ping"):
    """The chat asks whether anybody is there."""

    ping: str


class Said(msgspec.Struct):
    """What is said in a room; a repeat has the same `marker`."""

    room: str
    marker: str
    text: str


def verdict_of(response: httpx2.Response) -> DeliveryError:
    """What an answer other than 2xx means."""
    status = response.status_code
    if status in (429, 503):
        asked = response.headers.get("retry-after", "")
        return DeliveryError(
            "overloaded", status=status, retry_after_s=float(asked) if asked.isdecimal() else None
        )
    if status == 410:
        return DeliveryError("gone", status=status)
    return DeliveryError("rejected", status=status)
