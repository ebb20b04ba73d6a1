"""GitHub as a real HTTP server in a thread: does what the real one does, and refuses what it refuses.

A request that GitHub's own description of its API does not have fails the test that made it.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from urllib.parse import parse_qsl, urlsplit

from tests.fakes.github_openapi import Asked, match, problems
from tests.fakes.github_routes import Refusal, Reply, Request, answer
from tests.fakes.github_world import World
from tests.fakes.http_server import FakeServer, HTTPServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Answer a no of your choice, without doing the work."""

    status: int = 403
    message: str = "Forbidden"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Well:
    """Nothing goes wrong."""


@dataclass(frozen=True, slots=True)
class Lose:
    """Do the work, then hang up without an answer."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Hang up without doing the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang:
    """Never answer, or not before `opened`; with `works` the work is done first."""

    works: bool = False
    opened: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True, kw_only=True)
class BadGateway:
    """502; with `works` after the work was done."""

    works: bool = False


@dataclass(frozen=True, slots=True)
class Garbage:
    """200 with what is no JSON, after doing the work."""


@dataclass(frozen=True, slots=True)
class Endless:
    """200 with a body that never ends."""


Fault = Well | Refuse | Lose | Drop | Hang | BadGateway | Garbage | Endless


def primary_limit(world: World, *, in_s: float, status: int = 403) -> Refuse:
    """All requests of the hour are used up."""
    headers = (("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", str(int(world.now() + in_s))))
    return Refuse(status=status, message="API rate limit exceeded", headers=headers)


def secondary_limit(*, retry_after_s: int | None, status: int = 403) -> Refuse:
    """Too much at once."""
    headers = (("retry-after", str(retry_after_s)),) if retry_after_s is not None else ()
    return Refuse(status=status, message="You have exceeded a secondary rate limit.", headers=headers)


class GitHubServer(FakeServer):
    """The fake, around its `world`. `asked` are all requests; `mistakes` those no client should make.

    At the end of its `with` block the test fails for mistakes that were not taken by `take_mistakes`.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.world = World()
        self.asked: list[Asked] = []
        self.mistakes: list[str] = []
        self._open: set[socket.socket] = set()
        self._faults: list[tuple[str, str, Fault]] = []
        self._changed = threading.Condition()
        super().__init__(_Connection, port=port)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(kind, error, traceback)
        assert kind is not None or not self.mistakes, self.mistakes

    def will(self, *faults: Fault, method: str = "POST", ending: str = "/comments") -> None:
        """Play these, one each, on the next requests of that method whose path ends in `ending`."""
        with self._changed:
            self._faults.extend((method, ending, each) for each in faults)

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        with self._changed:
            self._faults.clear()

    def to(self, method: str, ending: str = "") -> list[Asked]:
        """The requests of that method whose path ends so, in order."""
        return [each for each in list(self.asked) if each.method == method and each.path.endswith(ending)]

    def wait_for(self, condition: Callable[[GitHubServer], bool], *, within_s: float = 15.0) -> None:
        """Wait until what was asked satisfies `condition`; fail after `within_s`."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), within_s), "it was not asked in time"

    def take_mistakes(self) -> list[str]:
        """The mistakes so far, which were meant."""
        taken, self.mistakes = self.mistakes, []
        return taken

    def unplug(self) -> None:
        """From now on nothing listens here."""
        self.stop_listening()
        with self._changed:
            for each in self._open:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def connected(self, connection: socket.socket, *, is_open: bool) -> None:
        """For the server's connections: one came or went."""
        with self._changed:
            (self._open.add if is_open else self._open.discard)(connection)

    def fault_for(self, asked: Asked) -> Fault | None:
        """For the server's connections: note a request, get what goes wrong with it."""
        with self._changed:
            self.asked.append(asked)
            self._changed.notify_all()
            for each in self._faults:
                if each[0] == asked.method and asked.path.endswith(each[1]):
                    self._faults.remove(each)
                    return each[2]
        return None

    def work(self, asked: Asked) -> Reply:
        """For the server's connections: what GitHub answers."""
        found = match(asked)
        if found is None:
            return self._mistaken(asked, "GitHub has no such operation", 404)
        operation, given = found
        wrong = problems(asked, operation, given)
        if wrong:
            return self._mistaken(asked, "; ".join(wrong), 422)
        request = Request(asked=asked, operation=operation, given=given, url=self.url)
        try:
            with self.world.lock:
                return answer(self.world, request)
        except Refusal as refusal:
            if refusal.is_mistake:
                self.mistakes.append(f"{asked.method} {asked.path}: {refusal}")
            return refusal.reply

    def _mistaken(self, asked: Asked, problem: str, status: int) -> Reply:
        self.mistakes.append(f"{asked.method} {asked.path}: {problem}")
        return Refusal(status, problem).reply


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HTTPServer[GitHubServer]
    connection: socket.socket

    def handle(self) -> None:
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.fake.connected(self.connection, is_open=True)
        super().handle()

    def finish(self) -> None:
        """The connection is over."""
        self.server.fake.connected(self.connection, is_open=False)
        super().finish()

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The time of the world."""
        return formatdate(self.server.fake.world.now() if timestamp is None else timestamp, usegmt=True)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are recorded, not printed."""

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length", "0"))
        raw = self.rfile.read(size)
        if len(raw) < size:
            self.close_connection = True
            return
        url = urlsplit(self.path)
        asked = Asked(
            method=self.command,
            path=url.path,
            query=tuple(parse_qsl(url.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            raw=raw,
        )
        self._play(self.server.fake.fault_for(asked), asked)

    do_GET = do_PATCH = do_DELETE = do_PUT = do_HEAD = do_POST

    def _play(self, fault: Fault | None, asked: Asked) -> None:
        work = self.server.fake.work
        match fault:
            case None | Well():
                self._answer(work(asked))
            case Refuse():
                refused = Refusal(fault.status, fault.message).reply
                self._answer(Reply(status=refused.status, body=refused.body, headers=dict(fault.headers)))
            case Lose():
                work(asked)
                self.close_connection = True
            case Drop():
                self.close_connection = True
            case Hang():
                reply = work(asked) if fault.works else None
                if self._is_opened(fault.opened):
                    self._answer(reply or work(asked))
            case BadGateway():
                if fault.works:
                    work(asked)
                self._write(502, b"<html>502 Bad Gateway</html>", {"content-type": "text/html"})
            case Garbage():
                self._write(work(asked).status, b'{"id": "\xff', {})
            case Endless():
                self._endless()

    def _answer(self, reply: Reply) -> None:
        body = b"" if reply.body is None else json.dumps(reply.body).encode()
        headers = {"content-type": "application/json; charset=utf-8", "x-ratelimit-remaining": "4999"}
        self._write(reply.status, body, {**headers, **reply.headers})

    def _write(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _endless(self) -> None:
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while not self.server.fake.stopping.is_set():
            self.wfile.write(b"100000\r\n" + b"x" * (1 << 20) + b"\r\n")

    def _is_opened(self, opened: threading.Event) -> bool:
        """Whether the gate opened before the caller left."""
        while not opened.wait(0.02):
            if self.server.fake.stopping.is_set() or self._has_left():
                self.close_connection = True
                return False
        return True

    def _has_left(self) -> bool:
        self.connection.settimeout(0.001)
        try:
            return not self.connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return False
        except OSError:
            return True
        finally:
            self.connection.settimeout(None)
