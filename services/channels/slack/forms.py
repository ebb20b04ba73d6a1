"""What people do in Slack besides talking: buttons and slash commands, which come as forms. Pure.

Neither has an event id; Slack never repeats them by itself, but a person may click twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qs

import msgspec

from services.channels.slack.address import inbound_stream, known_id, known_ts
from services.channels.slack.payloads import Unreadable, part, read_json, several
from services.streams.event import StreamId

FIELDS_LIMIT = 40


class _Named(msgspec.Struct, frozen=True):
    id: str = ""


class _Message(msgspec.Struct, frozen=True):
    ts: str | None = None


class _Container(msgspec.Struct, frozen=True):
    message_ts: str | None = None
    channel_id: str | None = None


class _Action(msgspec.Struct, frozen=True):
    action_id: str = ""
    value: str | None = None
    action_ts: str = ""


class _Interactive(msgspec.Struct, frozen=True):
    type: str = ""
    team: msgspec.Raw = msgspec.Raw(b"null")
    user: msgspec.Raw = msgspec.Raw(b"null")
    channel: msgspec.Raw = msgspec.Raw(b"null")
    message: msgspec.Raw = msgspec.Raw(b"null")
    container: msgspec.Raw = msgspec.Raw(b"null")
    actions: msgspec.Raw = msgspec.Raw(b"[]")
    response_url: str | None = None
    trigger_id: str | None = None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One button that was pressed. `value` is what we once gave it."""

    id: str = ""
    value: str = ""


class Interaction(msgspec.Struct, frozen=True, kw_only=True):
    """Something was done with a message of ours, or a dialog. Ids are empty where they are missing or strange.

    `type` is Slack's; only `block_actions` has `actions`. `key` is the same for the same click. `response_url`
    takes the answer to it, and is as secret as a token.
    """

    type: str
    key: str = ""
    team: str = ""
    channel: str = ""
    author: str = ""
    actions: tuple[Action, ...] = ()
    response_url: str = ""

    @property
    def stream(self) -> StreamId:
        """The inbound stream it is kept in."""
        return inbound_stream(self.team, self.channel)


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A slash command: `/turnwright text`, whatever the app calls it. It is in no thread."""

    text: str = ""
    key: str = ""
    team: str = ""
    channel: str = ""
    author: str = ""
    response_url: str = ""

    @property
    def stream(self) -> StreamId:
        """The inbound stream it is kept in."""
        return inbound_stream(self.team, self.channel)


def read_interaction(body: bytes) -> Interaction | Unreadable:
    """What the interactions URL received: a form with the field `payload`. Never raises."""
    fields = _fields(body)
    if isinstance(fields, Unreadable):
        return fields
    if "payload" not in fields:
        return Unreadable("no_payload")
    read = read_json(fields["payload"].encode(), _Interactive)
    if isinstance(read, Unreadable):
        return read
    return _interaction(read) if read.type else Unreadable("wrong_shape")


def read_command(body: bytes) -> Command | Unreadable:
    """What the commands URL received. Never raises."""
    fields = _fields(body)
    if isinstance(fields, Unreadable):
        return fields
    if not fields.get("command", "").startswith("/"):
        return Unreadable("wrong_shape")
    trigger = fields.get("trigger_id", "")
    return Command(
        text=fields.get("text", ""),
        key=f"slack:command:{trigger}" if trigger else "",
        team=known_id(fields.get("team_id")),
        channel=known_id(fields.get("channel_id")),
        author=known_id(fields.get("user_id")),
        response_url=fields.get("response_url", ""),
    )


def _interaction(read: _Interactive) -> Interaction:
    team, user, channel = (part(raw, _Named) or _Named() for raw in (read.team, read.user, read.channel))
    message = part(read.message, _Message) or _Message()
    container = part(read.container, _Container) or _Container()
    pressed = several(read.actions, _Action) if read.type == "block_actions" else ()
    message_ts = known_ts(message.ts) or known_ts(container.message_ts)
    return Interaction(
        type=read.type,
        key=_key(read, message_ts, pressed, author=known_id(user.id)),
        team=known_id(team.id),
        channel=known_id(channel.id) or known_id(container.channel_id),
        author=known_id(user.id),
        actions=tuple(Action(id=each.action_id, value=each.value or "") for each in pressed),
        response_url=read.response_url or "",
    )


def _key(read: _Interactive, message_ts: str, pressed: Sequence[_Action], *, author: str) -> str:
    """Two clicks differ by their moment; what is no click, by the trigger that Slack makes for it."""
    if pressed and message_ts and known_ts(pressed[0].action_ts):
        return f"slack:did:{message_ts}:{pressed[0].action_ts}:{author}"
    return f"slack:did:{read.trigger_id}" if read.trigger_id else ""


def _fields(body: bytes) -> dict[str, str] | Unreadable:
    """The fields of a form, each once: of one that comes twice the last."""
    try:
        read = parse_qs(
            body.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=FIELDS_LIMIT,
        )
    except UnicodeDecodeError:
        return Unreadable("not_utf8")
    except ValueError:
        return Unreadable("not_a_form")
    return {name: values[-1] for name, values in read.items()}
