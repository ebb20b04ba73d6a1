"""Where in Slack something is said: a thread of a channel of a workspace, as a value and as one string."""

from __future__ import annotations

import re

import msgspec

from services.streams.event import StreamId

# Slack's own ids, and no more: they become parts of stream ids and keys.
_ID, _TS = r"[A-Za-z0-9]{1,40}", r"[0-9]{1,20}\.[0-9]{1,20}"
_id, _ts = re.compile(_ID), re.compile(_TS)
_address = re.compile(f"slack:({_ID}):({_ID})(?::({_TS}))?")


class BadAddress(ValueError):
    """A text that names no thread in Slack."""


class SlackAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A thread: `team` and `channel` by their ids, `thread_ts` of its first message; empty: one is to be begun."""

    team: str
    channel: str
    thread_ts: str = ""

    def encode(self) -> str:
        """`slack:<team>:<channel>:<thread_ts>`, which is the id of its session too; without a thread, shorter."""
        return ":".join(("slack", self.team, self.channel, *([self.thread_ts] if self.thread_ts else ())))

    def within(self, thread_ts: str) -> SlackAddress:
        """The same, or the thread that was begun there."""
        return self if self.thread_ts else msgspec.structs.replace(self, thread_ts=thread_ts)

    @staticmethod
    def parse(text: str, *, may_begin: bool = False) -> SlackAddress:
        """The opposite of `encode`; only a channel where one `may_begin` a thread. Raises: BadAddress."""
        found = _address.fullmatch(text)
        if found is None or not (found[3] or may_begin):
            raise BadAddress("must be slack:<team>:<channel>:<thread_ts>")
        return SlackAddress(team=found[1], channel=found[2], thread_ts=found[3] or "")


def known_id(text: str | None) -> str:
    """`text` where it may be an id of Slack's, of a team, channel, user, bot, app or event; else empty."""
    return text if text and _id.fullmatch(text) else ""


def known_ts(text: str | None) -> str:
    """`text` where it may be the time stamp of a message, which is its id within its channel; else empty."""
    return text if text and _ts.fullmatch(text) else ""


def inbound_stream(team: str, channel: str) -> StreamId:
    """The stream that keeps what came from `channel`, or from all of `team` where there is none."""
    return StreamId(f"inbound:slack:{team or 'unknown'}" + (f":{channel}" if channel else ""))
