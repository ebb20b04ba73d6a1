"""Letters to Slack, for tests of its channel."""

from __future__ import annotations

import msgspec

from services.channels.contract import Letter
from services.channels.slack.address import SlackAddress
from services.channels.slack.client import SlackClient
from services.variables import Secret
from tests.fakes.letters import CANARY, letter_to
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import TEAM, TOKEN, Message


def client_of(server: SlackServer, *, token: str = TOKEN) -> SlackClient:
    """A client of the stand-in."""
    return SlackClient(Secret(token), api_url=server.api_url)


def address_of(message: Message) -> SlackAddress:
    """The thread that `message` begins or is in."""
    return SlackAddress(team=TEAM, channel=message.channel, thread_ts=message.thread_ts or message.ts)


def reply_to(message: Message, text: str = CANARY, *, timeout_s: float = 10.0) -> Letter:
    """The answer to `message`, queued a moment after it was said."""
    letter = letter_to(address_of(message).encode(), text=text, timeout_s=timeout_s)
    return msgspec.structs.replace(letter, queued_at=int(float(message.ts) * 1000) + 5)


def again(letter: Letter) -> Letter:
    """`letter` in an attempt after one whose end nobody knows."""
    return msgspec.structs.replace(letter, is_repeat=True)
