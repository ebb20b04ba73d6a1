"""The chat behind the example channel `acme` as a real HTTP server: rooms, signed messages, and faults on demand."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Literal

from tests.fakes.http_server import FakeServer, HTTPServer

SECRET = "acme-shared-secret"
HELD_S = 20.0

Does = Literal["accept", "reject", "overload", "hold", "hang_up", "keep_and_hang_up"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What was said in a room."""

    room: str
    marker: str
    text: str


def signed(body: bytes, *, secret: str = SECRET, at_s: float | None = None) -> dict[str, str]:
    """The headers of a webhook of the chat."""
    at = str(int(time.time() if at_s is None else at_s))
    digest = hmac.new(secret.encode(), at.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"x-acme-time": at, "x-acme-signature": digest, "content-type": "application/json"}


class AcmeChat(FakeServer):
    """The fake. What `will` was told is used up in order; then messages are accepted.

    `attempts`: all that reached it whole, in order; `kept`: what is in the rooms.
    """

    def __init__(self, *, refusal: bytes = b"", retry_after_s: int = 1) -> None:
        self.attempts: list[Message] = []
        self.kept: list[Message] = []
        self.refusal, self.retry_after_s = refusal, retry_after_s
        self._script: deque[Does] = deque()
        self._changed = threading.Condition()
        super().__init__(_Connection)

    def will(self, *does: Does) -> None:
        """What to do with the next messages."""
        self._script.extend(does)

    def in_room(self, room: str) -> list[Message]:
        """What was said there."""
        return [each for each in list(self.kept) if each.room == room]

    def wait_for(self, condition: Callable[[AcmeChat], bool], *, within_s: float = 15.0) -> None:
        """Wait until what was said satisfies `condition`."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), within_s), "it was not said in time"

    def leave(self) -> None:
        """Listen no more."""
        self.stop_listening()

    def take(self, message: Message) -> Does:
        """For the connections: note an attempt, get what to do with it."""
        with self._changed:
            does = self._script.popleft() if self._script else "accept"
            self.attempts.append(message)
            if does in ("accept", "keep_and_hang_up"):
                self.kept.append(message)
            self._changed.notify_all()
            return does


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HTTPServer[AcmeChat]

    def log_message(self, format: str, *args: object) -> None:
        """Messages are recorded, not printed."""

    def do_GET(self) -> None:
        marker = self.path.rpartition("/")[2]
        self._answer(200 if any(each.marker == marker for each in list(self.server.fake.kept)) else 404)

    def do_POST(self) -> None:
        chat = self.server.fake
        size = int(self.headers.get("content-length", "0"))
        body = self.rfile.read(size)
        if len(body) < size:
            self.close_connection = True
            return
        wanted = signed(body, at_s=float(self.headers["x-acme-time"]))
        if self.headers["x-acme-signature"] != wanted["x-acme-signature"]:
            self._answer(401)
            return
        match chat.take(Message(**json.loads(body))):
            case "accept":
                self._answer(201)
            case "reject":
                self._answer(500, chat.refusal)
            case "overload":
                self._answer(503, chat.refusal, {"retry-after": str(chat.retry_after_s)})
            case "hold":
                chat.stopping.wait(HELD_S)
                self.close_connection = True
            case _:
                self.close_connection = True

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
