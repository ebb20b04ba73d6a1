"""What of GitHub's webhooks is read: only the fields used, everything else is passed by.

Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Id = Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]


class User(msgspec.Struct, frozen=True):
    """An account; apps have the type `Bot`. A deleted one is not there."""

    login: str
    id: Id
    type: str = "User"


class Repository(msgspec.Struct, frozen=True):
    """The id stays when it is renamed or given away."""

    id: Id
    full_name: str


class Installation(msgspec.Struct, frozen=True):
    """Where an app is installed."""

    id: Id


class Label(msgspec.Struct, frozen=True):
    """A label by its name."""

    name: str


class Link(msgspec.Struct, frozen=True):
    """That an issue is a pull request."""

    html_url: str | None = None


class Subject(msgspec.Struct, frozen=True):
    """An issue or a pull request; `pull_request` is there on issues that are one.

    `author_association` is what its author is to the repository, roughly.
    """

    number: Id
    title: str = ""
    body: str | None = None
    user: User | None = None
    pull_request: Link | None = None
    updated_at: str = ""
    author_association: str | None = None


class Comment(msgspec.Struct, frozen=True):
    """A comment, a review or a comment of a review."""

    id: Id
    body: str | None = None
    user: User | None = None
    in_reply_to_id: Id | None = None
    path: str | None = None
    updated_at: str = ""
    submitted_at: str | None = None
    author_association: str | None = None


class Before(msgspec.Struct, frozen=True, rename={"value": "from"}):
    """What a field was before."""

    value: str | None = None


class Changes(msgspec.Struct, frozen=True):
    """What an edit changed."""

    body: Before | None = None


class Payload(msgspec.Struct, frozen=True):
    """One webhook."""

    action: str | None = None
    sender: User | None = None
    repository: Repository | None = None
    installation: Installation | None = None
    issue: Subject | None = None
    pull_request: Subject | None = None
    comment: Comment | None = None
    review: Comment | None = None
    assignee: User | None = None
    requested_reviewer: User | None = None
    label: Label | None = None
    changes: Changes | None = None


class Place(msgspec.Struct, frozen=True):
    """Where a webhook belongs, of events nothing else is read of."""

    action: str | None = None
    repository: Repository | None = None
    installation: Installation | None = None


_full = msgspec.json.Decoder(Payload)
_place = msgspec.json.Decoder(Place)


def decode(body: bytes, *, is_known: bool) -> Payload:
    """Read a body. Of events that are not `is_known` only where they belong.

    Raises: msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError.
    """
    # Fields that are passed by are not looked into, whatever they are made of.
    body.decode()
    if is_known:
        return _full.decode(body)
    found = _place.decode(body)
    return Payload(action=found.action, repository=found.repository, installation=found.installation)
