"""Where on GitHub something is said, and how that is written down in an input."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode

import msgspec

from services.channels.github.events import Inbound, session_of
from services.streams.event import StreamId

SCHEME = "github"

_address = re.compile(r"github:([1-9]\d{0,18}):([1-9]\d{0,18})(?:\?(.{0,500}))?", re.ASCII)
_number = re.compile(r"[1-9]\d{0,18}", re.ASCII)
_name = re.compile(r"[\w.-]{1,100}/[\w.-]{1,100}", re.ASCII)


class BadAddress(Exception):
    """A text that names no place on GitHub."""


class Repository(msgspec.Struct, frozen=True, kw_only=True):
    """A repository under the name it had at `seen_ms` (epoch); its id is what counts.

    `installation` is the app's installation that may act there, 0 without an app.
    """

    id: int
    name: str
    installation: int = 0
    seen_ms: int = 0


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """An issue or a pull request by its number; in a review, `thread` is the first comment of the thread."""

    repository: Repository
    number: int
    thread: int = 0

    @property
    def session(self) -> StreamId:
        """The session that is talked to there."""
        return session_of(self.repository.id, self.number)

    @property
    def address(self) -> str:
        """What an input keeps, for `target_of`."""
        asked = {
            "repository": self.repository.name,
            "installation": self.repository.installation,
            "thread": self.thread,
        }
        given = urlencode({name: value for name, value in asked.items() if value}, safe="/")
        return f"{self.session}?{given}"


def target_of(address: str, *, seen_ms: int = 0) -> Target:
    """The place that `address` names, as of `seen_ms`. Raises: BadAddress."""
    found = _address.fullmatch(address)
    if found is None:
        raise BadAddress
    given = dict(parse_qsl(found[3] or ""))
    name = given.get("repository", "")
    if not _name.fullmatch(name) or set(name) & {"?", "#"} or {".", ".."} & set(name.split("/")):
        raise BadAddress
    repository = Repository(
        id=int(found[1]), name=name, installation=_id(given.get("installation", "0")), seen_ms=seen_ms
    )
    return Target(repository=repository, number=int(found[2]), thread=_id(given.get("thread", "0")))


def target_where(inbound: Inbound, *, seen_ms: int) -> Target:
    """Where to answer a webhook that arrived at `seen_ms`. Raises: BadAddress when it is about no thread."""
    if not inbound.number:
        raise BadAddress
    repository = Repository(
        id=inbound.repository,
        name=inbound.repository_name,
        installation=inbound.installation,
        seen_ms=seen_ms,
    )
    return Target(repository=repository, number=inbound.number, thread=inbound.thread)


def _id(text: str) -> int:
    if text != "0" and not _number.fullmatch(text):
        raise BadAddress
    return int(text)
