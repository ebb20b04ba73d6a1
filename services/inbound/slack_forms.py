"""What people do in Slack besides talking, as deliveries: what is kept of a button or a slash command.

The address that takes the answer and Slack's old verification token are cut out of what is kept: both are secrets.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec

from services.channels.slack.address import SlackAddress
from services.channels.slack.buttons import RETRY
from services.channels.slack.forms import Command, Interaction, read_command, read_interaction
from services.channels.slack.payloads import Unreadable
from services.errors import Invalid
from services.inbound.commands import WORDS
from services.inbound.contract import Arrived, Request
from services.sessions.values import SESSION_ID
from services.streams.event import Offset, StreamId
from services.streams.inbound_events import InboundReceived

V = TypeVar("V")

COMMAND, INTERACTION = "command", "interaction"
HEARD = msgspec.json.encode({"response_type": "ephemeral", "text": "One moment\u2026"})
_SECRETS = frozenset({"response_url", "response_urls", "token"})

_about = re.compile(rf"({SESSION_ID})@([0-9]{{1,15}})", re.ASCII)
_link = re.compile(
    r"<?https://[^\s/<>]+/archives/([A-Za-z0-9]{1,40})/p(\d{10})(\d{6})"
    r"(?:\?(?:[^\s<>]*&)?thread_ts=(\d{10}\.\d{6}))?",
    re.ASCII,
)


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was given by a form. `session` is empty where none was named; `input` is the offset in it of what
    a button is about, else 0.

    `is_elsewhere`: it names a thread of another channel, which who gives it may not even see.
    """

    word: str
    key: str
    team: str
    channel: str
    author: str
    session: StreamId = StreamId("")
    input: Offset = 0
    is_elsewhere: bool = False
    is_button: bool = False


def arrived_of(request: Request) -> Arrived:
    """A form of the interactions or the commands URL, as it is kept. Raises: Invalid."""
    is_command = request.path == "commands"
    found = read_command(request.body) if is_command else read_interaction(request.body)
    if isinstance(found, Unreadable):
        raise Invalid("body", f"is no form of Slack's ({found.reason})")
    received = InboundReceived(
        source="slack",
        kind=COMMAND if is_command else INTERACTION,
        body=_kept(request.body),
        sent_at=int(request.received_s * 1000),
    )
    return Arrived(
        stream=found.stream,
        key=found.key,
        received=received,
        answer=HEARD if is_command else b"",
        answer_at=found.response_url if found.key else "",
    )


def is_check(body: bytes) -> bool:
    """Whether Slack only looks now and then at our certificate, with a command that nobody gave.

    Source: https://docs.slack.dev/interactivity/implementing-slash-commands
    """
    return b"ssl_check=1" in body.split(b"&", 40)[:40]


def given_by(received: InboundReceived) -> Given | None:
    """The command that a kept form gives; None for one that gives none."""
    body = received.body.encode()
    found = read_command(body) if received.kind == COMMAND else read_interaction(body)
    match found:
        case Command():
            return _slash(found)
        case Interaction():
            return _pressed(found)
        case _:
            return None


def blocks_of(received: InboundReceived) -> list[object]:
    """The blocks of the message whose button was pressed, without its buttons."""
    fields = dict(parse_qsl(received.body))
    try:
        pressed = msgspec.json.decode(fields.get("payload", ""), type=_Pressed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return [each for each in pressed.message.blocks if each.get("type") != "actions"]


class _Shown(msgspec.Struct, frozen=True):
    blocks: list[dict[str, object]] = []


class _Pressed(msgspec.Struct, frozen=True):
    message: _Shown = _Shown()


def _slash(command: Command) -> Given:
    word, _, rest = command.text.strip().partition(" ")
    word = word.lower().removeprefix("!") or "help"
    # Slack escapes what stands in a command, links too.
    link = _link.match(html.unescape(rest).strip())
    session, is_elsewhere = StreamId(""), False
    if link is not None:
        thread_ts = link[4] or f"{link[2]}.{link[3]}"
        address = SlackAddress(team=command.team, channel=link[1], thread_ts=thread_ts)
        session, is_elsewhere = StreamId(address.encode()), link[1] != command.channel
    return Given(
        word=word if word in WORDS else "help",
        key=command.key,
        team=command.team,
        channel=command.channel,
        author=command.author,
        session=session,
        is_elsewhere=is_elsewhere,
    )


def _pressed(done: Interaction) -> Given | None:
    action = next((each for each in done.actions if each.id == RETRY), None)
    found = _about.fullmatch(action.value) if action is not None else None
    if found is None:
        return None
    return Given(
        word="retry",
        key=done.key,
        team=done.team,
        channel=done.channel,
        author=done.author,
        session=StreamId(found[1]),
        input=int(found[2]),
        is_button=True,
    )


def _kept(body: bytes) -> str:
    fields = dict(parse_qsl(body.decode("ascii"), keep_blank_values=True))
    if "payload" in fields:
        try:
            payload = msgspec.json.decode(fields["payload"], type=dict[str, object])
        except (msgspec.DecodeError, RecursionError):
            # Read before, but not all of it: what nobody uses is too deep, or a number beyond all measure.
            raise Invalid("body", "is no form of Slack's (not_json)") from None
        fields["payload"] = msgspec.json.encode(_without_secrets(payload)).decode()
    return urlencode(_without_secrets(fields))


def _without_secrets(fields: Mapping[str, V]) -> dict[str, V]:
    return {name: value for name, value in fields.items() if name not in _SECRETS}
