"""How a message of ours is known again: the marker of its letter and which part it is, as Slack's metadata.

People do not see it; it is read back with the thread. Other apps see it, and another installation may even have the
same: only what we posted ourselves counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from services.channels.contract import DeliveryError
from services.channels.slack.address import SlackAddress
from services.channels.slack.facts import Identity

if TYPE_CHECKING:
    from services.channels.slack.sdk import Web

EVENT_TYPE = "turnwright_reply"

PAGE = 200
PAGES = 50
# Slack's clock and the store's are not the same.
SKEW_MS = 600_000


class _Payload(msgspec.Struct, frozen=True):
    marker: str = ""
    part: int = -1
    parts: int = 0


class _Metadata(msgspec.Struct, frozen=True):
    event_type: str
    event_payload: _Payload


class _Marked(msgspec.Struct, frozen=True):
    metadata: _Metadata
    user: str = ""
    bot_id: str = ""


class _Cursor(msgspec.Struct, frozen=True):
    next_cursor: str = ""


class _Page(msgspec.Struct, frozen=True):
    messages: list[object] = []
    response_metadata: _Cursor | None = None


def mark(marker: str, part: int, parts: int) -> dict[str, object]:
    """The metadata of part `part`, counted from 0, of `parts`."""
    return {"event_type": EVENT_TYPE, "event_payload": {"marker": marker, "part": part, "parts": parts}}


def marked(
    web: Web, address: SlackAddress, marker: str, *, parts: int, since_ms: int, us: Identity
) -> frozenset[int]:
    """Which parts of a letter `us` posted in its thread. Reads only what is newer than `since_ms`, by pages.

    Raises: DeliveryError: ambiguous when it can not be told, also when a part is there that was cut in another way.
    """
    found: set[int] = set()
    cursor: str | None = None
    for _ in range(PAGES):
        page = _page(web, address, since_ms, cursor)
        for each in page.messages:
            payload = _payload(each, us)
            if payload is None or payload.marker != marker:
                continue
            if payload.parts != parts:
                raise DeliveryError("ambiguous", code="parts_differ")
            found.add(payload.part)
        cursor = page.response_metadata.next_cursor if page.response_metadata else None
        if not cursor or len(found) == parts:
            return frozenset(found)
    raise DeliveryError("ambiguous", code="thread_too_long")


def _page(web: Web, address: SlackAddress, since_ms: int, cursor: str | None) -> _Page:
    answer = web.conversations_replies(
        channel=address.channel,
        ts=address.thread_ts,
        oldest=f"{max(0, since_ms - SKEW_MS) / 1000:.6f}",
        inclusive=True,
        include_all_metadata=True,
        limit=PAGE,
        cursor=cursor,
    )
    try:
        return msgspec.convert(answer.data, _Page)
    except msgspec.ValidationError:
        raise DeliveryError("ambiguous", code="not_a_thread") from None


def _payload(message: object, us: Identity) -> _Payload | None:
    """The mark of a message of ours; most messages have none, or metadata of somebody else's shape."""
    try:
        found = msgspec.convert(message, _Marked)
    except msgspec.ValidationError:
        return None
    is_ours = bool({found.user, found.bot_id} & {us.bot_user, us.bot} - {""})
    return found.metadata.event_payload if is_ours and found.metadata.event_type == EVENT_TYPE else None
