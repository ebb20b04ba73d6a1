"""The few fields of Slack's payloads that are used, read so that no shape whatever raises.

What is optional and of a strange shape is as if it were not there; what is needed and strange makes the payload
unreadable, with a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec

S = TypeVar("S", bound=msgspec.Struct)

LIST_LIMIT = 50


class Unreadable(msgspec.Struct, frozen=True):
    """A request that is not of Slack. `reason`: not_json, not_utf8, too_deep, not_a_form, no_payload, wrong_shape."""

    reason: str


class Authorization(msgspec.Struct, frozen=True):
    """For which installation of the app an event was sent."""

    team_id: str | None = None
    user_id: str | None = None


class Envelope(msgspec.Struct, frozen=True):
    """What every event comes in. `event` stays as it is until its type is known."""

    type: str = ""
    challenge: str = ""
    team_id: str | None = None
    api_app_id: str | None = None
    event_id: str | None = None
    event_time: int | float | None = None
    authorizations: msgspec.Raw = msgspec.Raw(b"[]")
    event: msgspec.Raw = msgspec.Raw(b"{}")


class File(msgspec.Struct, frozen=True):
    """A file that was shared. `size` in bytes."""

    id: str = ""
    name: str | None = None
    title: str | None = None
    mimetype: str | None = None
    size: int | None = None


class Attachment(msgspec.Struct, frozen=True):
    """Something attached: a forwarded or unfurled message, the preview of a link, what other apps add."""

    text: str | None = None
    fallback: str | None = None
    author_name: str | None = None
    author_id: str | None = None
    is_msg_unfurl: bool | None = None
    is_share: bool | None = None
    files: msgspec.Raw = msgspec.Raw(b"[]")


class AssistantThread(msgspec.Struct, frozen=True):
    """The thread of an assistant, in events about one."""

    user_id: str = ""
    channel_id: str = ""
    thread_ts: str = ""


class Typed(msgspec.Struct, frozen=True):
    """Any event, of which only the type is of interest."""

    type: str = ""


class MessageBody(msgspec.Struct, frozen=True):
    """A message, or the part of an event that is like one."""

    type: str = ""
    subtype: str | None = None
    channel: msgspec.Raw = msgspec.Raw(b'""')
    channel_id: str | None = None
    channel_type: str | None = None
    user: msgspec.Raw = msgspec.Raw(b'""')
    bot_id: str | None = None
    app_id: str | None = None
    text: str | None = None
    ts: str | None = None
    thread_ts: str | None = None
    deleted_ts: str | None = None
    edited: msgspec.Raw = msgspec.Raw(b"null")
    files: msgspec.Raw = msgspec.Raw(b"[]")
    attachments: msgspec.Raw = msgspec.Raw(b"[]")
    message: msgspec.Raw = msgspec.Raw(b"null")
    previous_message: msgspec.Raw = msgspec.Raw(b"null")
    assistant_thread: msgspec.Raw = msgspec.Raw(b"null")


class _Id(msgspec.Struct, frozen=True):
    id: str = ""


def read_json(body: bytes, type: type[S]) -> S | Unreadable:
    """`body` as `type`; whatever it holds, nothing is raised."""
    try:
        # First as text: a name in what is passed over must be text too, as nobody looks at it again.
        body.decode()
        return msgspec.json.decode(body, type=type, strict=False)
    except UnicodeDecodeError:
        return Unreadable("not_utf8")
    except RecursionError:
        return Unreadable("too_deep")
    except msgspec.ValidationError:
        return Unreadable("wrong_shape")
    except msgspec.DecodeError:
        return Unreadable("not_json")


def part(raw: msgspec.Raw, type: type[S]) -> S | None:
    """An optional part as `type`; None when it is not there or of another shape."""
    found = read_json(bytes(raw), type)
    return None if isinstance(found, Unreadable) else found


def several(raw: msgspec.Raw, type: type[S]) -> Sequence[S]:
    """The first `LIST_LIMIT` elements of a list that are of `type`."""
    try:
        elements = msgspec.json.decode(raw, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()
    found = (part(each, type) for each in elements[:LIST_LIMIT])
    return [each for each in found if each is not None]


def id_of(raw: msgspec.Raw) -> str:
    """An id that comes as a text in some events and inside of an object in others; empty when in neither."""
    try:
        return msgspec.json.decode(raw, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = part(raw, _Id)
    return found.id if found is not None else ""
