"""Reading what GitHub sends: which stream and session a webhook belongs to, who says what, and whom they call.

Pure. What can not be read gets a reason, never an exception. Who may start work is not decided here: nothing of a
webhook tells what its author may do.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal

import msgspec

from services.channels.github.markers import mark_of
from services.channels.github.mentions import BOT, is_login, mentions
from services.channels.github.payloads import Comment, Payload, Subject, User, decode
from services.streams.event import StreamId

Kind = Literal[
    "ping",
    "installation",
    "issues",
    "issue_comment",
    "pull_request",
    "pull_request_review",
    "pull_request_review_comment",
    "other",
]
Trigger = Literal["mention", "assigned", "labeled", "review_requested", ""]
Unreadable = Literal["bad_event", "bad_guid", "form_encoded", "not_json", "malformed", "incomplete"]

KINDS: dict[str, Kind] = {
    "ping": "ping",
    "installation": "installation",
    "issues": "issues",
    "issue_comment": "issue_comment",
    "pull_request": "pull_request",
    "pull_request_review": "pull_request_review",
    "pull_request_review_comment": "pull_request_review_comment",
}
_THREADED = KINDS.keys() - {"ping", "installation"}
# What says something for the first time. An edit counts when it calls us and the text before did not.
_SAYING = frozenset({"opened", "created", "submitted"})

# Not everybody may do this to an issue or a pull request.
_RIGHTS = frozenset({"assigned", "labeled", "review_requested"})
_MEMBERS = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})

_event = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
_guid = re.compile(r"[A-Za-z0-9-]{1,100}", re.ASCII)


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """An account. `is_self`: it is ours."""

    login: str
    id: int
    is_bot: bool = False
    is_self: bool = False


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook as far as it concerns us.

    `actor` did what it tells of, and theirs is the permission that counts; `author` wrote `text`, which may be
    somebody else: a label can be put on a stranger's issue, an owner can edit a stranger's comment. `said` is the
    id of the comment or review that holds `text`, 0: the issue or pull request itself. `thread` is the first
    comment of a review's thread, where there is one. `opening` is what the issue or pull request itself says, and
    `opener` wrote it. `at_s` is when GitHub has it that `text` became what it is, epoch seconds, 0 if it does not say.
    `is_own`: we wrote `text`, or did it ourselves. `is_member`: `actor` probably belongs to the repository, which is
    not to be relied on.
    `calls`: `text` mentions us; `called`: it did before an edit too. `key` is the same for every delivery of one
    event, `said_key` for everything that ever happens to one text.
    """

    kind: Kind
    event: str
    action: str
    key: str
    stream: StreamId
    session: StreamId | None = None
    repository: int = 0
    repository_name: str = ""
    installation: int = 0
    number: int = 0
    is_pull: bool = False
    title: str = ""
    actor: Person | None = None
    author: Person | None = None
    text: str = ""
    opener: Person | None = None
    opening: str = ""
    at_s: float = 0.0
    said: int = 0
    said_key: str = ""
    thread: int = 0
    path: str = ""
    label: str = ""
    calls: bool = False
    called: bool = False
    is_own: bool = False
    is_member: bool = False
    trigger: Trigger = ""


def read(event: str, guid: str, body: bytes, *, login: str) -> Inbound | Unreadable:
    """Read one webhook by its headers `X-GitHub-Event` and `X-GitHub-Delivery` and its verified body.

    `login` is the name that a mention must have. Answers a safe reason for what can not be read.
    """
    if not _event.fullmatch(event):
        return "bad_event"
    if not _guid.fullmatch(guid):
        return "bad_guid"
    kind = KINDS.get(event, "other")
    try:
        payload = decode(body, is_known=event in KINDS)
    except msgspec.ValidationError:
        return "malformed"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "form_encoded" if body.startswith(b"payload=") else "not_json"
    found = _placed(kind, event, guid, payload)
    if event not in _THREADED:
        return found
    subject = payload.pull_request or payload.issue
    if subject is None or payload.repository is None or payload.action is None:
        return "incomplete"
    return _told(found, payload, subject, login)


def stream_of_place(*, repository: int, installation: int) -> StreamId:
    """The inbound stream that holds what happens there, in order."""
    if repository:
        return StreamId(f"inbound:github:{repository}")
    return StreamId(f"inbound:github:installation:{installation}" if installation else "inbound:github:app")


def session_of(repository: int, number: int) -> StreamId:
    """The session of an issue or a pull request, which share their numbers."""
    return StreamId(f"github:{repository}:{number}")


def _placed(kind: Kind, event: str, guid: str, payload: Payload) -> Inbound:
    repository = payload.repository.id if payload.repository else 0
    installation = payload.installation.id if payload.installation else 0
    return Inbound(
        kind=kind,
        event=event,
        action=payload.action or "",
        key=f"github:{guid.lower()}",
        stream=stream_of_place(repository=repository, installation=installation),
        repository=repository,
        repository_name=payload.repository.full_name if payload.repository else "",
        installation=installation,
    )


def _told(found: Inbound, payload: Payload, subject: Subject, login: str) -> Inbound:
    comment = payload.comment or payload.review
    said: Comment | Subject = comment or subject
    text = said.body or ""
    actor, author = _person(payload.sender, login), _person(said.user, login)
    # An issue of ours may be labelled by anybody; a comment of ours is ours whoever edits it.
    doers = (actor, author) if comment else (actor,)
    is_marked = comment is not None and mark_of(text) is not None
    told = msgspec.structs.replace(
        found,
        session=session_of(found.repository, subject.number),
        number=subject.number,
        is_pull=payload.pull_request is not None or subject.pull_request is not None,
        title=subject.title,
        actor=actor,
        author=author,
        text=text,
        opener=_person(subject.user, login),
        opening=subject.body or "",
        at_s=_at_s(said),
        said=comment.id if comment else 0,
        said_key=_said_key(found, subject, comment),
        thread=_thread(payload),
        path=(comment.path if comment else None) or "",
        label=payload.label.name if payload.label else "",
        calls=mentions(text, login),
        called=mentions(_before(payload), login),
        is_member=_is_member(actor, author, payload.action, said.author_association),
        is_own=is_marked or any(each is not None and each.is_self for each in doers),
    )
    return msgspec.structs.replace(told, trigger=_trigger(told, payload, login))


def _is_member(
    actor: Person | None, author: Person | None, action: str | None, association: str | None
) -> bool:
    """Who says nothing themselves must have some right to do what they did; who does is told of by GitHub."""
    if actor is None or action not in _SAYING:
        return actor is not None and action in _RIGHTS
    return author is not None and author.id == actor.id and association in _MEMBERS


def _trigger(told: Inbound, payload: Payload, login: str) -> Trigger:
    match told.action:
        case "assigned" if payload.assignee and is_login(payload.assignee.login, login):
            return "assigned"
        case "review_requested" if payload.requested_reviewer and is_login(
            payload.requested_reviewer.login, login
        ):
            return "review_requested"
        case "labeled":
            return "labeled"
        case "edited" if told.calls and not told.called and payload.changes and payload.changes.body:
            return "mention"
        case action if action in _SAYING and told.calls:
            return "mention"
        case _:
            return ""


def _said_key(found: Inbound, subject: Subject, comment: Comment | None) -> str:
    # Comments, comments of reviews and reviews have ids of their own each.
    what = f"{found.kind}:{comment.id}" if comment else f"thread:{subject.number}"
    return f"github:{found.repository}:{what}"


def _thread(payload: Payload) -> int:
    if payload.comment is None or payload.pull_request is None:
        return 0
    return payload.comment.in_reply_to_id or payload.comment.id


def _at_s(said: Comment | Subject) -> float:
    told = said.updated_at or (said.submitted_at if isinstance(said, Comment) else None)
    try:
        return datetime.fromisoformat(told or "").timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _before(payload: Payload) -> str:
    changes = payload.changes
    return (changes.body.value or "") if changes and changes.body else ""


def _person(user: User | None, login: str) -> Person | None:
    if user is None:
        return None
    is_bot = user.type == "Bot" or user.login.endswith(BOT)
    return Person(login=user.login, id=user.id, is_bot=is_bot, is_self=is_login(user.login, login))
