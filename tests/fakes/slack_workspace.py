"""What a Slack workspace holds, for the stand-in: channels, threads, messages, reactions, statuses."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

TEAM = "T0TURNWRI"
BOT_USER = "U0TURNWRI"
BOT = "B0TURNWRI"
APP = "A0TURNWRI"
TOKEN = "xoxb-" + "-".join(("1111111111", "2222222222", "notarealtokenatall"))

SCOPES = frozenset(
    {
        "app_mentions:read",
        "assistant:write",
        "chat:write",
        "commands",
        "reactions:write",
        "users:read",
        *(f"{kind}:{what}" for kind in ("channels", "groups", "im", "mpim") for what in ("history", "read")),
    }
)


class SlackError(Exception):
    """What Slack answers with `ok: false`. `extra` are further fields of the answer."""

    def __init__(self, error: str, **extra: object) -> None:
        super().__init__(error)
        self.error = error
        self.extra = extra


@dataclass(slots=True, kw_only=True)
class Message:
    """One message; `deleted` leaves it out of everything that is read."""

    ts: str
    channel: str
    text: str
    user: str
    thread_ts: str = ""
    bot_id: str = ""
    blocks: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] | None = None
    reactions: dict[str, set[str]] = field(default_factory=dict)
    edited: bool = False
    ephemeral_to: str = ""

    @property
    def said(self) -> str:
        """What people read: the markdown of its blocks, else its text."""
        blocks = [each["text"] for each in self.blocks if each["type"] == "markdown"]
        return "\n".join(blocks) or self.text

    def shown(self, *, with_metadata: bool) -> dict[str, Any]:
        """As Slack shows it to apps."""
        found: dict[str, Any] = {"type": "message", "ts": self.ts, "user": self.user, "text": self.text}
        if self.thread_ts:
            found["thread_ts"] = self.thread_ts
        if self.bot_id:
            found |= {"bot_id": self.bot_id, "app_id": APP}
        if self.blocks:
            found["blocks"] = self.blocks
        if self.metadata is not None and with_metadata:
            found["metadata"] = self.metadata
        return found


@dataclass(slots=True, kw_only=True)
class Channel:
    """A conversation. `kind` decides which scopes reading takes."""

    id: str
    kind: str = "channels"
    is_archived: bool = False
    is_member: bool = True
    messages: dict[str, Message] = field(default_factory=dict)


class Workspace:
    """Everything, behind one lock that its server holds while it answers."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.token_state: dict[str, str] = {TOKEN: ""}
        self.scopes = set(SCOPES)
        self.channels = {"C0GENERAL": Channel(id="C0GENERAL"), "D0DIRECT": Channel(id="D0DIRECT", kind="im")}
        self.users = {BOT_USER: "turnwright", "U0ANA": "ana", "U0BEN": "ben"}
        self.statuses: dict[tuple[str, str], str] = {}
        self.assistant_statuses: dict[tuple[str, str], str] = {}
        self._last_us = time.time_ns() // 1000

    def next_ts(self) -> str:
        """A time stamp later than any before it."""
        with self.lock:
            now_us = time.time_ns() // 1000
            self._last_us = max(self._last_us + 1, now_us)
            return f"{self._last_us // 1_000_000}.{self._last_us % 1_000_000:06d}"

    def say(
        self, text: str, *, channel: str = "C0GENERAL", user: str = "U0ANA", thread_ts: str = ""
    ) -> Message:
        """Let a person say something: how threads begin."""
        with self.lock:
            message = Message(ts=self.next_ts(), channel=channel, text=text, user=user, thread_ts=thread_ts)
            self.channels[channel].messages[message.ts] = message
            return message

    def delete(self, message: Message) -> None:
        """Let a person delete it."""
        with self.lock:
            del self.channels[message.channel].messages[message.ts]

    def thread(self, channel: str, ts: str) -> list[Message]:
        """The replies in a thread, oldest first, without the message it began with."""
        with self.lock:
            messages = self.channels[channel].messages.values()
            return sorted((each for each in messages if each.thread_ts == ts), key=lambda each: each.ts)

    def posted(self) -> list[Message]:
        """All messages of the app, oldest first."""
        with self.lock:
            every = (each for channel in self.channels.values() for each in channel.messages.values())
            return sorted((each for each in every if each.bot_id), key=lambda each: each.ts)

    def found(self, channel: str) -> Channel:
        """A channel the app may use. Raises: SlackError."""
        if channel not in self.channels:
            raise SlackError("channel_not_found")
        return self.channels[channel]

    def message(self, channel: str, ts: str) -> Message:
        """Raises: SlackError."""
        message = self.found(channel).messages.get(ts)
        if message is None:
            raise SlackError("message_not_found")
        return message
