"""How a message of ours is known again: the marker of its letter and which part it is, as Slack's metadata.

People do not see it; it is read back with the thread. Other apps see it, and another installation may even have the
same: only what we posted ourselves counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
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
    ts: str = ""
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
) -> Mapping[int, str]:
    """The parts of a letter that `us` posted where `address` says, each with its time stamp; only what is newer than
    `since_ms` is read, by pages. Where no thread is named the first part begins one, and the others are in it.

    Raises: DeliveryError: ambiguous when it can not be told, also when a part is there that was cut in another way.
    """
    look = _Look(web, marker, parts, since_ms, us)
    if address.thread_ts:
        return look.read(address, parts)
    found = look.read(address, 1)
    if not found or parts == 1:
        return found
    return {**found, **look.read(msgspec.structs.replace(address, thread_ts=found[0]), parts)}


class _Look(msgspec.Struct, frozen=True):
    web: Web
    marker: str
    parts: int
    since_ms: int
    us: Identity

    def read(self, address: SlackAddress, wanted: int) -> dict[int, str]:
        """What is found until as many as `wanted` are, or nothing more is there."""
        found: dict[int, str] = {}
        cursor: str | None = None
        for _ in range(PAGES):
            page = self._page(address, cursor)
            for each in page.messages:
                message = _marked(each, self.us)
                if message is None or message.metadata.event_payload.marker != self.marker:
                    continue
                payload = message.metadata.event_payload
                if payload.parts != self.parts:
                    raise DeliveryError("ambiguous", code="parts_differ")
                found[payload.part] = message.ts
            cursor = page.response_metadata.next_cursor if page.response_metadata else None
            if not cursor or len(found) >= wanted:
                return found
        raise DeliveryError("ambiguous", code="thread_too_long")

    def _page(self, address: SlackAddress, cursor: str | None) -> _Page:
        method = self.web.conversations_history
        if address.thread_ts:
            method = partial(self.web.conversations_replies, ts=address.thread_ts)
        answer = method(
            channel=address.channel,
            oldest=f"{max(0, self.since_ms - SKEW_MS) / 1000:.6f}",
            inclusive=True,
            include_all_metadata=True,
            limit=PAGE,
            cursor=cursor,
        )
        try:
            return msgspec.convert(answer.data, _Page)
        except msgspec.ValidationError:
            raise DeliveryError("ambiguous", code="not_a_thread") from None


def _marked(message: object, us: Identity) -> _Marked | None:
    """A message of ours with its mark; most messages have none, or metadata of somebody else's shape."""
    try:
        found = msgspec.convert(message, _Marked)
    except msgspec.ValidationError:
        return None
    is_ours = bool({found.user, found.bot_id} & {us.bot_user, us.bot} - {""})
    return found if is_ours and found.metadata.event_type == EVENT_TYPE else None
