"""What the stand-in GitHub knows: repositories, threads, people, an app, its tokens and what it delivered."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

Json = dict[str, Any]

# role: what GitHub answers as `permission` for it.
ROLES = {"admin": "admin", "maintain": "write", "write": "write", "triage": "read", "read": "read"}
TOKEN_S = 3600.0


@dataclass(slots=True, kw_only=True)
class Comment:
    """A comment on an issue, or in a review: then `path` is set, and `reply_to` for all but the first."""

    id: int
    body: str
    login: str
    created_at: float
    updated_at: float
    path: str = ""
    reply_to: int = 0
    reactions: set[tuple[str, str]] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class Issue:
    """An issue or a pull request."""

    number: int
    title: str
    body: str
    login: str
    created_at: float
    is_pull: bool = False
    is_locked: bool = False
    is_deleted: bool = False
    labels: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    review: list[Comment] = field(default_factory=list)
    reactions: set[tuple[str, str]] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class Repository:
    """`former` are names it had; `roles` what people may do."""

    id: int
    name: str
    installation: int
    is_private: bool = False
    is_archived: bool = False
    is_deleted: bool = False
    former: list[str] = field(default_factory=list)
    roles: dict[str, str] = field(default_factory=dict)
    base_of_role: dict[str, str] = field(default_factory=dict)
    issues: dict[int, Issue] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Installation:
    """Where the app is installed, and what it may do there."""

    id: int
    is_gone: bool = False
    is_suspended: bool = False
    permissions: dict[str, str] = field(
        default_factory=lambda: {"issues": "write", "pull_requests": "write", "metadata": "read"}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token of an installation, or with `login` of a person."""

    expires_at: float
    installation: int = 0
    login: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One attempt of GitHub's to tell the app something. `status` 0: nobody answered."""

    id: int
    guid: str
    event: str
    delivered_at: float
    status: int
    headers: dict[str, str]
    payload: Json
    is_redelivery: bool = False


@cache
def app_key() -> rsa.RSAPrivateKey:
    """The app's key, made once."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def app_key_pem() -> str:
    """The app's key as GitHub hands it out."""
    return (
        app_key()
        .private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        .decode()
    )


class World:
    """Everything there is. Change it under `lock`; `now` is epoch seconds and may be moved."""

    app_id, slug = "4711", "turnwright"

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.now: Callable[[], float] = time.time
        self.repositories: dict[int, Repository] = {}
        self.installations: dict[int, Installation] = {}
        self.tokens: dict[str, Token] = {}
        self.revoked: set[str] = set()
        self.delivered: list[Delivered] = []
        self.minted = 0
        self._ids = itertools.count(1001)

    def pass_time(self, seconds: float) -> None:
        """Let it be later, here and for who takes the time from here."""
        now = self.now
        self.now = lambda: now() + seconds

    def id(self) -> int:
        """A new id: they grow."""
        return next(self._ids)

    def install(self, **changes: Any) -> Installation:
        """Install the app somewhere."""
        found = Installation(id=self.id(), **changes)
        self.installations[found.id] = found
        return found

    def repository(self, name: str = "octo/app", **changes: Any) -> Repository:
        """Make a repository, in an installation of its own unless told otherwise."""
        installation = changes.pop("installation", None) or self.install().id
        found = Repository(id=self.id(), name=name, installation=installation, **changes)
        self.repositories[found.id] = found
        return found

    def rename(self, repository: Repository, name: str) -> None:
        """Rename it or give it away: its old name leads to it until somebody takes that."""
        with self.lock:
            repository.former.append(repository.name)
            repository.name = name

    def issue(self, repository: Repository, *, login: str = "ada", **changes: Any) -> Issue:
        """Open an issue, or with `is_pull` a pull request."""
        with self.lock:
            number = len(repository.issues) + 1
            given = {"title": f"Number {number}", "body": "", "created_at": self.now(), **changes}
            found = Issue(number=number, login=login, **given)
            repository.issues[number] = found
            return found

    def comment(
        self, issue: Issue, body: str, *, login: str = "ada", path: str = "", reply_to: int = 0
    ) -> Comment:
        """Write a comment, with `path` in a review."""
        with self.lock:
            now = self.now()
            made = Comment(
                id=self.id(),
                body=body,
                login=login,
                created_at=now,
                updated_at=now,
                path=path,
                reply_to=reply_to,
            )
            (issue.review if path else issue.comments).append(made)
            return made

    def plain_token(self, login: str) -> str:
        """A token of a person."""
        token = f"ghp_{self.id():036d}"
        self.tokens[token] = Token(expires_at=float("inf"), login=login)
        return token

    def mint(self, installation: int) -> tuple[str, float]:
        """A token of an installation, and when it ends."""
        with self.lock:
            self.minted += 1
            token = f"ghs_{self.id():036d}"
            expires_at = self.now() + TOKEN_S
            self.tokens[token] = Token(expires_at=expires_at, installation=installation)
            return token, expires_at

    def revoke_all(self) -> None:
        """Every token handed out so far ends now."""
        with self.lock:
            self.revoked |= self.tokens.keys()

    def named(self, name: str) -> tuple[Repository | None, bool]:
        """The repository of that name, and whether that is a former one of its names."""
        wanted = name.lower()
        alive = [each for each in self.repositories.values() if not each.is_deleted]
        for each in alive:
            if each.name.lower() == wanted:
                return each, False
        for each in alive:
            if wanted in (former.lower() for former in each.former):
                return each, True
        return None, False

    def all_comments(self) -> Iterator[Comment]:
        """Every comment that is there."""
        for repository in self.repositories.values():
            for issue in repository.issues.values():
                yield from (*issue.comments, *issue.review)


def moment(at: float) -> str:
    """A time as GitHub writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
