"""The endpoints of GitHub that are used, each one function: what is asked for and what is read of the answer.

Nothing is repeated here but a refused token once. Everything raises DeliveryError.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Literal

import msgspec

from services.channels.contract import DeliveryError
from services.channels.github.answers import Answer
from services.channels.github.asks import Ask, path_of
from services.channels.github.client import Client
from services.channels.github.mentions import BOT
from services.channels.github.names import Names
from services.channels.github.target import Repository, Target
from services.channels.github.tokens import Tokens
from services.channels.github.within import Within

PER_PAGE = 100
Reaction = Literal["+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"]
Subject = Literal["issue", "comment", "review_comment"]


class Account(msgspec.Struct, frozen=True):
    """Who wrote something; a deleted account is not there."""

    login: str
    type: str = "User"


class Comment(msgspec.Struct, frozen=True):
    """A comment on an issue, or in the thread of a review."""

    id: int
    body: str | None = None
    user: Account | None = None
    html_url: str = ""
    in_reply_to_id: int | None = None
    updated_at: datetime | None = None


class Issue(msgspec.Struct, frozen=True):
    """An issue or a pull request, as it is now."""

    number: int
    comments: int = 0


class Granted(msgspec.Struct, frozen=True):
    """What an account may do in a repository. `role_name` may be a name of the organisation's own making."""

    permission: str
    role_name: str = ""


class _App(msgspec.Struct, frozen=True):
    slug: str


class _Installed(msgspec.Struct, frozen=True):
    id: int


class _Named(msgspec.Struct, frozen=True):
    id: int
    full_name: str


class API:
    """GitHub's API for an installation of Turnwright. Serves many threads. `wall_s` is epoch seconds."""

    def __init__(self, client: Client, tokens: Tokens, *, wall_s: Callable[[], float] = time.time) -> None:
        self.client, self.tokens = client, tokens
        self._login, self._wall_s = "", wall_s
        self._names = Names(client, tokens, wall_s=wall_s)

    def comment(self, target: Target, text: str, within: Within) -> Comment:
        """Say `text` there: in the thread of a review if `target` names one, else at the end."""
        parts: tuple[object, ...] = ("issues", target.number, "comments")
        if target.thread:
            parts = ("pulls", target.number, "comments", target.thread, "replies")
        ask = self._ask(target.repository, parts, within, method="POST", body={"body": text})
        return self._send(ask, target.repository, within).read(Comment, is_write=True)

    def edit(self, repository: Repository, id: int, text: str, within: Within) -> Comment:
        """Replace the text of a comment on an issue."""
        parts = ("issues", "comments", id)
        ask = self._ask(repository, parts, within, method="PATCH", body={"body": text})
        return self._send(ask, repository, within).read(Comment, is_write=True)

    def delete(self, repository: Repository, id: int, within: Within) -> None:
        """Delete a comment on an issue."""
        ask = self._ask(repository, ("issues", "comments", id), within, method="DELETE")
        self._send(ask, repository, within)

    def comments(
        self, target: Target, within: Within, *, since_ms: int | None = None, pages: int = 10
    ) -> Iterator[Comment]:
        """The comments where `target` is, oldest first, changed since `since_ms` (epoch).

        Raises: DeliveryError(not_sent, too_many) after `pages` pages of 100 when there are more.
        """
        kind = "pulls" if target.thread else "issues"
        query = [("per_page", str(PER_PAGE))]
        if since_ms is not None:
            query.append(("since", _moment(since_ms)))
        ask = self._ask(target.repository, (kind, target.number, "comments"), within, query=tuple(query))
        authority = self.tokens.of(target.repository.installation)
        for number, answer in enumerate(self.client.pages(ask, authority, within), start=1):
            if number > pages:
                raise DeliveryError("not_sent", code="too_many")
            for each in answer.read(list[Comment]):
                if not target.thread or target.thread in (each.id, each.in_reply_to_id):
                    yield each

    def latest(self, target: Target, within: Within, *, page: int) -> list[Comment]:
        """One page of 100: of an issue its `page`-th from the oldest, of all reviews from the newest comment."""
        query = [("per_page", str(PER_PAGE)), ("page", str(page))]
        kind = "issues"
        if target.thread:
            kind = "pulls"
            query += [("sort", "created"), ("direction", "desc")]
        parts = (kind, target.number, "comments")
        ask = self._ask(target.repository, parts, within, query=tuple(query))
        return self._send(ask, target.repository, within).read(list[Comment])

    def issue(self, target: Target, within: Within) -> Issue:
        """The issue or pull request itself."""
        ask = self._ask(target.repository, ("issues", target.number), within)
        return self._send(ask, target.repository, within).read(Issue)

    def react(
        self, target: Target, subject: Subject, id: int, within: Within, *, content: Reaction = "eyes"
    ) -> None:
        """React to the issue itself or to a comment; doing it again changes nothing."""
        parts: tuple[object, ...] = ("issues", target.number, "reactions")
        if subject != "issue":
            kind = "issues" if subject == "comment" else "pulls"
            parts = (kind, "comments", id, "reactions")
        ask = self._ask(target.repository, parts, within, method="POST", body={"content": content})
        self._send(ask, target.repository, within)

    def permission(self, repository: Repository, login: str, within: Within) -> Granted:
        """What `login` may do there; 404 when GitHub knows nobody of that name."""
        ask = self._ask(repository, ("collaborators", login, "permission"), within)
        return self._send(ask, repository, within).read(Granted)

    def repository(self, name: str, within: Within) -> Repository:
        """The repository that is called `<owner>/<name>` now, `gone` where there is none for us."""
        path, app, installation = path_of(("repos", *name.split("/"))), self.tokens.itself(), 0
        if app is not None:
            installation = self.client.ask(Ask(path=f"{path}/installation"), app, within).read(_Installed).id
        found = self.client.ask(Ask(path=path), self.tokens.of(installation), within).read(_Named)
        seen_ms = int(self._wall_s() * 1000)
        return Repository(id=found.id, name=found.full_name, installation=installation, seen_ms=seen_ms)

    def login(self, within: Within) -> str:
        """The account in whose name comments are written; asked for once."""
        if not self._login:
            self._login = self._asked_login(within.quietly())
        return self._login

    def _asked_login(self, within: Within) -> str:
        app = self.tokens.itself()
        if app is None:
            return self.client.ask(Ask(path="/user"), self.tokens.of(0), within).read(Account).login
        return self.client.ask(Ask(path="/app"), app, within).read(_App).slug + BOT

    def _ask(
        self,
        repository: Repository,
        parts: tuple[object, ...],
        within: Within,
        *,
        method: str = "GET",
        query: tuple[tuple[str, str], ...] = (),
        body: dict[str, str] | None = None,
    ) -> Ask:
        name = self._names.current(repository, within)
        return Ask(
            method=method,
            path=path_of(("repos", *name.split("/"), *parts)),
            query=query,
            body=None if body is None else msgspec.json.encode(body),
        )

    def _send(self, ask: Ask, repository: Repository, within: Within) -> Answer:
        return self.client.ask(ask, self.tokens.of(repository.installation), within)


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(max(0, ms) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
