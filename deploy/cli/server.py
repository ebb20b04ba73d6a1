"""The command line's way to a running Turnwright: where it is, with which token, and what can go wrong.

Every failure becomes one clear line and exit status 1, or 2 where what was asked for can not be.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

import click
import httpx2
import msgspec

from services.sessions.values import SESSION_ID
from services.settings import Settings, load_settings
from services.variables import is_loopback

T = TypeVar("T")
Query = Mapping[str, str | int]

TIMEOUT = httpx2.Timeout(30.0, connect=5.0)
_REPEATS = 6
_REPEAT_S = 0.5

_session_id = re.compile(SESSION_ID)
# How the server's checks of a shape read, and how people say it.
_PLAIN = (
    (re.compile(r".*matching regex.*"), "has signs that are not allowed there"),
    (re.compile(r"Expected `str` of length >= 1\b"), "must not be empty"),
    (re.compile(r"Expected `str` of length <= (\d+)"), r"must have at most \1 characters"),
    (re.compile(r"Expected `(?:int|float)` (>=|<=) (\S+)"), r"must be \1 \2"),
)


class Problem(msgspec.Struct, frozen=True):
    """What a refused request says."""

    type: str = ""
    title: str = ""
    detail: str = ""
    field: str | None = None


class Failed(click.ClickException):
    """A command that could not be done: one line, exit status 1."""


class Absent(Failed):
    """What was named does not exist."""


class Misused(Failed):
    """A command that can never be done as it was given: one line, exit status 2."""

    exit_code = 2


class Lost(Exception):
    """The connection broke, or the server can not answer now; whether it acted is unknown."""


class Server:
    """One server and the token to use there."""

    def __init__(self, url: str, token: str, *, origin: str) -> None:
        """`origin` says where the token is from."""
        self.url, self._origin = url, origin
        is_local = is_loopback(urlsplit(url).hostname or "")
        self._client = httpx2.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=TIMEOUT,
            trust_env=not is_local,
        )

    def read(self, path: str, shape: type[T], query: Query | None = None) -> tuple[T, bytes]:
        """GET `path`: the parsed body and its bytes. Raises: Failed."""
        return self._parse(self._insist("GET", path, query=query or {}), shape)

    def send(
        self, path: str, shape: type[T], body: object, headers: Mapping[str, str] | None = None
    ) -> tuple[T, bytes]:
        """POST `body` to `path`; repeated when its outcome is unknown, so it must be idempotent.

        Raises: Failed.
        """
        return self._parse(self._insist("POST", path, body=msgspec.json.encode(body), headers=headers), shape)

    def put(self, path: str, shape: type[T], body: object) -> tuple[T, bytes]:
        """PUT `body` to `path`. Raises: Failed."""
        return self._parse(self._insist("PUT", path, body=msgspec.json.encode(body)), shape)

    def delete(self, path: str, shape: type[T]) -> tuple[T, bytes]:
        """DELETE `path`. Raises: Failed."""
        return self._parse(self._insist("DELETE", path), shape)

    @contextmanager
    def stream(self, path: str, *, after: int) -> Iterator[Iterator[str]]:
        """The lines of a live stream that goes on after offset `after`. Raises: Failed, Lost."""
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        try:
            with self._client.stream("GET", path, headers=headers) as response:
                if response.status_code != 200:
                    response.read()
                    self._check(response)
                yield response.iter_lines()
        except httpx2.ConnectError:
            raise Lost(self._unreachable()) from None
        except httpx2.HTTPError:
            raise Lost(f"the connection to {self.url} broke") from None

    def _insist(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        typed = {"Content-Type": "application/json"} if body is not None else {}
        for left in reversed(range(_REPEATS)):
            try:
                response = self._client.request(
                    method, path, params=query, content=body, headers={**typed, **(headers or {})}
                )
                self._check(response)
                return response
            except httpx2.ConnectError:
                raise Failed(self._unreachable()) from None
            except httpx2.HTTPError:
                broken = f"the connection to {self.url} broke"
            except Lost as lost:
                broken = str(lost)
            if not left:
                raise Failed(broken)
            time.sleep(_REPEAT_S)
        raise Failed(self._unreachable())

    def _check(self, response: httpx2.Response) -> None:
        if response.is_success:
            return
        problem = _problem_of(response)
        if problem is None:
            raise Failed(f"{self.url} answered with status {response.status_code}: is it Turnwright?")
        if response.status_code == 401:
            raise Failed(
                f"{self.url} does not know the token of {self._origin}: set TURNWRIGHT_API_TOKEN to one it knows"
            )
        if response.status_code == 503:
            raise Lost(f"{self.url}: {_said(problem)}")
        if response.status_code in (400, 422):
            raise Misused(_said(problem))
        if response.status_code == 404:
            raise Absent(_said(problem) if problem.detail else f"{response.url} does not exist")
        raise Failed(_said(problem))

    def _parse(self, response: httpx2.Response, shape: type[T]) -> tuple[T, bytes]:
        try:
            return msgspec.json.decode(response.content, type=shape), response.content
        except msgspec.MsgspecError:
            raise Failed(f"{self.url} answered something unknown: is it Turnwright?") from None

    def _unreachable(self) -> str:
        return f"no server answers at {self.url}: start one with `make up`, or set TURNWRIGHT_URL"


class _Announced(msgspec.Struct, frozen=True):
    url: str


def find_server() -> Server:
    """The server the environment names, otherwise the local one. Raises: Failed, ConfigurationError."""
    settings = load_settings()
    origin = str(settings.home / "token") if settings.api_token is None else "TURNWRIGHT_API_TOKEN"
    return Server(settings.url or _local_url(settings.home), _token(settings), origin=origin)


def session_path(session: str, *parts: str) -> str:
    """The path of a session, or of something of it. Raises: Misused."""
    check_session(session)
    return "/".join(("/api/sessions", quote(session, safe=""), *parts))


def check_session(session: str) -> None:
    """Refuse what can not be the id of a session. Raises: Misused."""
    # Dots alone mean another place in a path.
    if not _session_id.fullmatch(session) or session in (".", ".."):
        raise Misused("session: letters, digits and . _ : - , at most 200")


def _local_url(home: Path) -> str:
    try:
        return msgspec.json.decode((home / "run" / "server.json").read_bytes(), type=_Announced).url
    except (OSError, msgspec.MsgspecError):
        raise Failed(
            f"no server runs on {home}: start one with `make up`, or set TURNWRIGHT_HOME to the data directory of "
            "one that runs, or TURNWRIGHT_URL to its address"
        ) from None


def _token(settings: Settings) -> str:
    if settings.api_token is not None:
        return settings.api_token.reveal()
    try:
        token = (settings.home / "token").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        token = ""
    if not token or not token.isprintable():
        raise Failed(f"there is no token in {settings.home / 'token'}: set TURNWRIGHT_API_TOKEN")
    return token


def _said(problem: Problem) -> str:
    """Where there is a detail it names the thing; the title only tells of which kind it is."""
    detail = problem.detail
    for pattern, plain in _PLAIN:
        detail = pattern.sub(plain, detail)
    if problem.type.endswith((":invalid", ":not-found", ":malformed", ":state")) and detail:
        return ": ".join(part for part in (problem.field, detail) if part)
    return ": ".join(part for part in (problem.title, problem.field, detail) if part)


def _problem_of(response: httpx2.Response) -> Problem | None:
    if not response.headers.get("Content-Type", "").startswith("application/problem+json"):
        return None
    try:
        return msgspec.json.decode(response.content, type=Problem)
    except msgspec.MsgspecError:
        return None
