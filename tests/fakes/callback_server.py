"""A receiver of callbacks as a real HTTP server in a thread: it records every request and does what it is told."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.fakes.http_server import FakeServer, HTTPServer

BOMB_BYTES = 200 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Answer with `status`; with `closes`, end the connection then without a word about it."""

    status: int = 204
    closes: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Answer with `then` once `opened` is set, or never when the caller leaves first."""

    opened: threading.Event = field(default_factory=threading.Event)
    then: Status = field(default_factory=Status)


@dataclass(frozen=True, slots=True)
class HangUp:
    """Read the request, answer nothing, close."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """Answer with what is no HTTP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trickle:
    """Send the head of an answer a byte at a time, for ever; or with `in_body` its body."""

    in_body: bool = False


@dataclass(frozen=True, slots=True)
class Endless:
    """Answer 200 with a body that never ends."""


@dataclass(frozen=True, slots=True)
class Bomb:
    """Answer 200 with a small body that says it expands to a huge one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Answer with exactly these `pieces`, one after another; then go on, or with `closes` end the connection."""

    pieces: tuple[bytes, ...]
    closes: bool = False


Script = Status | Held | HangUp | Garbage | Trickle | Endless | Bomb | Raw


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request. `connection` counts the connections of the server from 1."""

    path: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def id(self) -> str:
        """Its `webhook-id`."""
        return self.headers["webhook-id"]

    @property
    def data(self) -> dict[str, Any]:
        """What it tells of the turn."""
        found: dict[str, Any] = json.loads(self.body)["data"]
        return found


class CallbackServer(FakeServer):
    """The fake. Scripts given to `will` are used up in order; those of a path come first; then it is 204."""

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.closed = 0
        self.sent_bytes = 0
        self.disconnects = 0
        self._scripts: dict[str, deque[Script]] = {}
        self._changed = threading.Condition()
        super().__init__(_Connection, port=port)
        if tls is not None:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
            self.url = f"https://127.0.0.1:{self.port}"

    def will(self, *scripts: Script, path: str = "") -> None:
        """What to do with the next requests, or the next ones to `path`, one script each."""
        with self._changed:
            self._scripts.setdefault(path, deque()).extend(scripts)

    def to(self, path: str) -> list[Received]:
        """The requests to `path`, in order."""
        return [each for each in list(self.received) if each.path == path]

    def wait_for(self, condition: Callable[[CallbackServer], bool], *, within_s: float = 15.0) -> None:
        """Wait until what was recorded satisfies `condition`; fail after `within_s`."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), within_s), "it was not received in time"

    def count(
        self, *, connections: int = 0, closed: int = 0, sent_bytes: int = 0, disconnects: int = 0
    ) -> int:
        """For the server's connections: tell what happened; how many connections there were."""
        with self._changed:
            self.connections += connections
            self.closed += closed
            self.sent_bytes += sent_bytes
            self.disconnects += disconnects
            self._changed.notify_all()
            return self.connections

    def record(self, received: Received) -> Script:
        """For the server's connections: note the request, get what to do with it."""
        with self._changed:
            self.received.append(received)
            self._changed.notify_all()
            for path in (received.path, ""):
                if scripts := self._scripts.get(path):
                    return scripts.popleft()
        return Status()


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HTTPServer[CallbackServer]
    connection: socket.socket

    def handle(self) -> None:
        self._number = self.server.fake.count(connections=1)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().handle()

    def finish(self) -> None:
        """The connection is over."""
        super().finish()
        self.connection.close()
        self.server.fake.count(closed=1)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are recorded, not printed."""

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length", "0"))
        body = self.rfile.read(size)
        if len(body) < size:
            # Its sender died meanwhile: no receiver would take that for a letter.
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        received = Received(path=self.path, headers=headers, body=body, connection=self._number)
        self._play(self.server.fake.record(received))

    def do_GET(self) -> None:
        """Where a redirect was followed to."""
        self.do_POST()

    def _play(self, script: Script) -> None:
        match script:
            case Status():
                self._answer(script)
            case Held():
                if self._is_opened(script):
                    self._answer(script.then)
            case HangUp():
                self.close_connection = True
            case Garbage():
                self.close_connection = True
                self._write(b"NOT HTTP AT ALL\r\n\r\n")
            case Trickle():
                self._trickle(script)
            case Endless():
                self._write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                while True:
                    self._write(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            case Raw():
                for each in script.pieces:
                    self._write(each)
                self.close_connection = script.closes
            case Bomb():
                self._answer(Status(status=200, headers=(("content-encoding", "gzip"),), body=_bomb()))

    def _answer(self, script: Status) -> None:
        self.send_response(script.status)
        for name, value in script.headers:
            self.send_header(name, value)
        if script.status != 204:
            self.send_header("content-length", str(len(script.body)))
        self.end_headers()
        if script.body:
            self._write(script.body)
        self.close_connection = self.close_connection or script.closes

    def _trickle(self, script: Trickle) -> None:
        self.close_connection = True
        head = b"HTTP/1.1 200 OK\r\n"
        if script.in_body:
            self._write(head + b"content-length: 100000\r\n\r\n")
        else:
            self._write(head + b"x-slow: ")
        while not self.server.fake.stopping.wait(0.05):
            self._write(b"x")

    def _write(self, data: bytes) -> None:
        self.wfile.write(data)
        self.server.fake.count(sent_bytes=len(data))

    def _is_opened(self, script: Held) -> bool:
        """Whether the gate opened before the caller left."""
        while not script.opened.wait(0.02):
            if self.server.fake.stopping.is_set() or self._has_left():
                self.close_connection = True
                self.server.fake.count(disconnects=1)
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


@cache
def _bomb() -> bytes:
    """`BOMB_BYTES` of zeros, compressed without ever being there."""
    packer = zlib.compressobj(9, wbits=31)
    mebibyte = bytes(1 << 20)
    return b"".join([packer.compress(mebibyte) for _ in range(BOMB_BYTES >> 20)]) + packer.flush()
