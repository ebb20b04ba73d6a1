"""What Slack tells us: which kind of event it is, where it belongs, by which keys a repeat is known. Pure.

Nothing here decides what is answered: that is the router's, from the kind and the facts.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from services.channels.slack.address import SlackAddress, inbound_stream, known_id, known_ts
from services.channels.slack.payloads import (
    AssistantThread,
    Attachment,
    Authorization,
    Envelope,
    File,
    MessageBody,
    Typed,
    Unreadable,
    id_of,
    part,
    read_json,
    several,
)
from services.streams.event import StreamId

Kind = Literal[
    "verification",  # Slack asks whether this address is ours: answer `challenge`
    "mention",  # we were named
    "direct",  # somebody wrote to us alone
    "reply",  # a message in a thread
    "message",  # a message in a channel, outside of threads
    "bot",  # a message by a bot, which may be ourselves
    "edited",
    "deleted",
    "assistant_started",  # somebody opened a thread with the assistant
    "stopped",  # somebody pressed the stop button of an agent's session
    "uninstalled",  # the app or its tokens are gone
    "rate_limited",  # Slack holds events back
    "housekeeping",  # somebody joined, a topic was set: nothing that was said
    "other",
]

# No event is from after this second: whoever says so says nothing.
_LATEST_S = 1e11
# A message with another subtype was not said by a person.
_SAID = frozenset({None, "", "file_share", "thread_broadcast", "me_message"})
_READ = frozenset({"app_mention", "message", "assistant_thread_started", "agent_session_stopped"})
_UNINSTALLED = frozenset({"app_uninstalled", "app_uninstalled_team", "tokens_revoked"})


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One event, whole. Ids are empty where they are missing or could be none of Slack's; texts are as they came.

    `team` is the one the app is installed in; `bot_user` is who we are there. `ts` is the message it is about,
    `thread_ts` the thread that one is in. `author` is a user's id, `bot` the bot's if it was one, `app` its app.
    `text` is what an edited message says now and what a deleted one said, `before` what an edited one said, None
    where that is not told.
    """

    kind: Kind
    type: str = ""
    subtype: str = ""
    event_id: str = ""
    event_time_s: float = 0.0
    team: str = ""
    app_id: str = ""
    bot_user: str = ""
    channel: str = ""
    channel_type: str = ""
    ts: str = ""
    thread_ts: str = ""
    author: str = ""
    bot: str = ""
    app: str = ""
    text: str = ""
    before: str | None = None
    files: tuple[File, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    challenge: str = ""

    @property
    def stream(self) -> StreamId:
        """The inbound stream it is kept in: its channel's, else its team's."""
        return inbound_stream(self.team, self.channel)

    @property
    def keys(self) -> tuple[str, ...]:
        """What a repeat of it has in common: the id of the event, and for what was said the message itself.

        A mention arrives twice, as `app_mention` and as `message`, with an event id each.
        """
        keys = [f"slack:{self.event_id}"] if self.event_id else []
        if self.kind in ("mention", "direct", "reply", "message") and self.channel and self.ts:
            keys.append(f"slack:{self.team}:{self.channel}:{self.ts}")
        return tuple(keys)

    @property
    def is_own(self) -> bool:
        """Whether it is about something that we said ourselves."""
        is_our_app = bool(self.app) and self.app == self.app_id
        return is_our_app or (bool(self.author) and self.author == self.bot_user)

    @property
    def address(self) -> SlackAddress | None:
        """The thread it belongs to, or would begin; None for what belongs to none."""
        if not (self.team and self.channel and self.ts):
            return None
        return SlackAddress(team=self.team, channel=self.channel, thread_ts=self.thread_ts or self.ts)

    @property
    def session(self) -> StreamId | None:
        """The session of its thread."""
        return None if self.address is None else StreamId(self.address.encode())


def read_event(body: bytes) -> Arrival | Unreadable:
    """What the events URL received. Never raises; what is no event of Slack's is Unreadable."""
    envelope = read_json(body, Envelope)
    if isinstance(envelope, Unreadable):
        return envelope
    if envelope.type == "url_verification":
        return Arrival(kind="verification", type=envelope.type, challenge=envelope.challenge)
    if envelope.type == "app_rate_limited":
        return Arrival(kind="rate_limited", type=envelope.type, team=known_id(envelope.team_id))
    inner = _inner(bytes(envelope.event))
    if isinstance(inner, Unreadable):
        return inner
    if not envelope.type or not inner.type:
        return Unreadable("wrong_shape")
    return _arrival(envelope, inner)


def _inner(event: bytes) -> MessageBody | Unreadable:
    """The event itself; one of a type that nobody here reads may have any shape."""
    found = read_json(event, MessageBody)
    if found != Unreadable("wrong_shape"):
        return found
    typed = read_json(event, Typed)
    if isinstance(typed, Unreadable) or typed.type in _READ:
        return found
    return MessageBody(type=typed.type)


def _arrival(envelope: Envelope, inner: MessageBody) -> Arrival:
    installed = next(iter(several(envelope.authorizations, Authorization)), Authorization())
    thread = part(inner.assistant_thread, AssistantThread) or AssistantThread()
    about = _about(inner)
    kind = _kind(inner, about)
    return Arrival(
        kind=kind,
        type=inner.type,
        subtype=inner.subtype or "",
        event_id=known_id(envelope.event_id),
        event_time_s=_second(envelope.event_time),
        team=known_id(installed.team_id) or known_id(envelope.team_id),
        app_id=known_id(envelope.api_app_id),
        bot_user=known_id(installed.user_id),
        channel=known_id(id_of(inner.channel)) or known_id(inner.channel_id) or known_id(thread.channel_id),
        channel_type=inner.channel_type or "",
        ts=known_ts(inner.deleted_ts)
        or known_ts(about.ts)
        or known_ts(thread.thread_ts)
        or known_ts(inner.thread_ts),
        thread_ts=known_ts(about.thread_ts) or known_ts(inner.thread_ts) or known_ts(thread.thread_ts),
        author=known_id(id_of(about.user)) or known_id(thread.user_id),
        bot=known_id(about.bot_id),
        app=known_id(about.app_id),
        text=about.text or "",
        before=_before(inner),
        files=tuple(several(about.files, File)),
        attachments=tuple(several(about.attachments, Attachment)),
    )


def _second(given: float | None) -> float:
    return float(given) if given is not None and 0 <= given <= _LATEST_S else 0.0


def _before(inner: MessageBody) -> str | None:
    if inner.subtype != "message_changed":
        return None
    previous = part(inner.previous_message, MessageBody)
    return None if previous is None else previous.text or ""


def _about(inner: MessageBody) -> MessageBody:
    """The message that an event tells of: inside of it where it tells of a change."""
    match inner.subtype:
        case "message_changed":
            return part(inner.message, MessageBody) or inner
        case "message_deleted":
            return part(inner.previous_message, MessageBody) or inner
        case _:
            return inner


def _kind(inner: MessageBody, about: MessageBody) -> Kind:
    if inner.type in _UNINSTALLED:
        return "uninstalled"
    match inner.type:
        case "assistant_thread_started":
            return "assistant_started"
        case "agent_session_stopped":
            return "stopped"
        case "app_mention" | "message":
            return _message_kind(inner, about)
        case "app_rate_limited":
            return "rate_limited"
        case _:
            return "other"


def _message_kind(inner: MessageBody, about: MessageBody) -> Kind:
    match inner.subtype:
        case "message_changed":
            return _change_kind(inner, about)
        case "message_deleted":
            return "deleted"
        case "bot_message":
            return "bot"
        case subtype if subtype not in _SAID:
            return "housekeeping"
    if about.bot_id:
        return "bot"
    if inner.type == "app_mention":
        # Slack tells of an edit that names us as of a mention.
        return "edited" if bytes(inner.edited) != b"null" else "mention"
    if inner.channel_type == "im":
        return "direct"
    in_thread = bool(about.thread_ts) and about.thread_ts != about.ts
    return "reply" if in_thread else "message"


def _change_kind(inner: MessageBody, about: MessageBody) -> Kind:
    """Slack calls it a change too when a preview was added, and when what began a thread was deleted.

    The preview of a message is one of what was said: it comes a moment after the link to it.
    """
    if about.subtype == "tombstone":
        return "deleted"
    before = part(inner.previous_message, MessageBody)
    is_same = before is not None and before.text == about.text and _brought(before) == _brought(about)
    return "housekeeping" if is_same else "edited"


def _brought(said: MessageBody) -> list[tuple[str | None, ...]]:
    found = (each for each in several(said.attachments, Attachment) if each.is_msg_unfurl or each.is_share)
    return [(each.author_id, each.text, each.fallback) for each in found]
