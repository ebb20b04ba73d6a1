"""Where in Slack something is said: a thread of a channel of a workspace, as a value and as one string."""

from __future__ import annotations

import re

import msgspec

from services.streams.event import StreamId

# Slack's own ids, and no more: they become parts of stream ids and keys.
_id = re.compile(r"[A-Za-z0-9]{1,40}", re.ASCII)
_ts = re.compile(r"[0-9]{1,20}\.[0-9]{1,20}", re.ASCII)


class BadAddress(ValueError):
    """A text that names no thread in Slack."""


class SlackAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A thread: `team` and `channel` by their ids, `thread_ts` of its first message."""

    team: str
    channel: str
    thread_ts: str

    def encode(self) -> str:
        """`slack:<team>:<channel>:<thread_ts>`, which is the id of its session too."""
        return f"slack:{self.team}:{self.channel}:{self.thread_ts}"

    @staticmethod
    def parse(text: str) -> SlackAddress:
        """The opposite of `encode`. Raises: BadAddress."""
        scheme, *rest = text.split(":")
        if scheme != "slack" or len(rest) != 3:
            raise BadAddress("must be slack:<team>:<channel>:<thread_ts>")
        team, channel, thread_ts = rest
        if not (known_id(team) and known_id(channel) and known_ts(thread_ts)):
            raise BadAddress("must be slack:<team>:<channel>:<thread_ts>")
        return SlackAddress(team=team, channel=channel, thread_ts=thread_ts)


def known_id(text: str | None) -> str:
    """`text` where it may be an id of Slack's, of a team, channel, user, bot, app or event; else empty."""
    return text if text and _id.fullmatch(text) else ""


def known_ts(text: str | None) -> str:
    """`text` where it may be the time stamp of a message, which is its id within its channel; else empty."""
    return text if text and _ts.fullmatch(text) else ""


def inbound_stream(team: str, channel: str) -> StreamId:
    """The stream that keeps what came from `channel`, or from all of `team` where there is none."""
    return StreamId(f"inbound:slack:{team or 'unknown'}" + (f":{channel}" if channel else ""))
