"""What Slack sends: events, clicks and commands as signed requests, in the envelopes it uses."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from services.channels.slack.signature import sign
from tests.fakes.slack_workspace import APP, BOT, BOT_USER, TEAM, Message

SECRET = "-".join(("not", "a", "real", "signing", "secret"))

EVENTS, INTERACTIONS, COMMANDS = (
    f"/webhooks/slack/{each}" for each in ("events", "interactions", "commands")
)

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackRequest:
    """One POST, ready to send."""

    path: str
    headers: dict[str, str]
    body: bytes

    def retried(self, number: int, reason: str = "http_timeout") -> SlackRequest:
        """The same once more, as Slack sends it after no 2xx within three seconds."""
        headers = {"X-Slack-Retry-Num": str(number), "X-Slack-Retry-Reason": reason}
        return replace(self, headers=self.headers | headers)


def signed(
    path: str, body: bytes, *, content_type: str = _JSON, secret: str = SECRET, at_s: float | None = None
) -> SlackRequest:
    """`body` with the signature that Slack gives it at `at_s` (epoch seconds; now)."""
    timestamp = str(int(time.time() if at_s is None else at_s))
    headers = {
        "Content-Type": content_type,
        "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": sign(secret, timestamp, body),
    }
    return SlackRequest(path=path, headers=headers, body=body)


def envelope(event: dict[str, Any], *, team: str = TEAM, event_id: str = "") -> dict[str, Any]:
    """What every event comes in; each has an id of its own."""
    authorization = {
        "enterprise_id": None,
        "team_id": team,
        "user_id": BOT_USER,
        "is_bot": True,
        "is_enterprise_install": False,
    }
    return {
        "token": "verification-token-nobody-should-use",
        "team_id": team,
        "api_app_id": APP,
        "event": event,
        "type": "event_callback",
        "event_id": event_id or f"Ev0{next(_numbers):08d}",
        "event_time": _second_of(event.get("event_ts")),
        "authorizations": [authorization],
        "is_ext_shared_channel": False,
        "event_context": "4-not-a-real-context",
    }


def event_request(event: dict[str, Any], **facts: Any) -> SlackRequest:
    """An event, signed. `facts` are those of `envelope` and `signed`."""
    about = {name: facts.pop(name) for name in ("team", "event_id") if name in facts}
    return signed(EVENTS, json.dumps(envelope(event, **about)).encode(), **facts)


def mention(message: Message, **more: Any) -> dict[str, Any]:
    """`message`, which names the app, as `app_mention`."""
    return _said("app_mention", message) | more


def said(message: Message, **more: Any) -> dict[str, Any]:
    """`message` as `message`: what everybody in its channel hears, mentions among it."""
    kinds = {"D": "im", "G": "group"}
    return _said("message", message) | {"channel_type": kinds.get(message.channel[0], "channel")} | more


def twins(message: Message) -> tuple[SlackRequest, SlackRequest]:
    """A mention as it arrives: twice, each with an event id of its own."""
    return event_request(mention(message)), event_request(said(message))


def changed(message: Message, text: str) -> dict[str, Any]:
    """The edit of `message`."""
    inner = _said("message", message)
    edited = inner | {"text": text, "edited": {"user": message.user, "ts": message.ts}}
    return {
        "type": "message",
        "subtype": "message_changed",
        "message": edited,
        "previous_message": inner,
        "channel": message.channel,
        "hidden": True,
        "ts": message.ts,
        "event_ts": message.ts,
        "channel_type": "channel",
    }


def deleted(message: Message) -> dict[str, Any]:
    """The end of `message`."""
    return {
        "type": "message",
        "subtype": "message_deleted",
        "previous_message": _said("message", message),
        "channel": message.channel,
        "hidden": True,
        "deleted_ts": message.ts,
        "ts": message.ts,
        "event_ts": message.ts,
        "channel_type": "channel",
    }


def our_own(message: Message) -> dict[str, Any]:
    """What the app said, told to the app."""
    return said(message, bot_id=BOT, app_id=APP, bot_profile={"id": BOT, "app_id": APP})


def verification(challenge: str = "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P") -> SlackRequest:
    """What Slack sends when the address is set."""
    body = {"token": "verification-token", "challenge": challenge, "type": "url_verification"}
    return signed(EVENTS, json.dumps(body).encode())


def stopped(message: Message, *, user: str = "U0ANA") -> dict[str, Any]:
    """Somebody pressed the stop button of the agent's session in the thread of `message`."""
    return {
        "type": "agent_session_stopped",
        "channel": message.channel,
        "thread_ts": message.thread_ts or message.ts,
        "user": user,
        "streaming_message_ts": [],
        "event_ts": message.ts,
    }


def click(
    message: Message, *, action_id: str, value: str, response_url: str, user: str = "U0BEN"
) -> SlackRequest:
    """A button of `message` that somebody pressed."""
    now = f"{time.time():.6f}"
    shown = message.shown(with_metadata=False)
    payload = {
        "type": "block_actions",
        "user": {"id": user, "username": user.lower(), "name": user.lower(), "team_id": TEAM},
        "api_app_id": APP,
        "token": "verification-token",
        "container": {"type": "message", "message_ts": message.ts, "channel_id": message.channel},
        "trigger_id": f"{next(_numbers)}.{TEAM}.deadbeef",
        "team": {"id": TEAM, "domain": "acme"},
        "channel": {"id": message.channel, "name": "general"},
        "message": shown,
        "response_url": response_url,
        "actions": [
            {"type": "button", "action_id": action_id, "block_id": "ask", "value": value, "action_ts": now}
        ],
    }
    body = urlencode({"payload": json.dumps(payload)}).encode()
    return signed(INTERACTIONS, body, content_type=_FORM)


def command(text: str, *, response_url: str, channel: str = "C0GENERAL", user: str = "U0ANA") -> SlackRequest:
    """`/turnwright text`."""
    fields = {
        "token": "verification-token",
        "team_id": TEAM,
        "team_domain": "acme",
        "channel_id": channel,
        "channel_name": "general",
        "user_id": user,
        "user_name": user.lower(),
        "command": "/turnwright",
        "text": text,
        "api_app_id": APP,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": f"{next(_numbers)}.{TEAM}.deadbeef",
    }
    return signed(COMMANDS, urlencode(fields).encode(), content_type=_FORM)


def _second_of(event_ts: object) -> int:
    return (
        int(float(event_ts))
        if isinstance(event_ts, str) and event_ts.replace(".", "").isdigit() and event_ts.isascii()
        else 0
    )


def _said(type: str, message: Message) -> dict[str, Any]:
    found = {
        "type": type,
        "user": message.user,
        "ts": message.ts,
        "client_msg_id": f"00000000-0000-4000-8000-{message.ts.replace('.', '')[-12:]}",
        "text": message.text,
        "team": TEAM,
        "channel": message.channel,
        "event_ts": message.ts,
    }
    return found | ({"thread_ts": message.thread_ts} if message.thread_ts else {})
