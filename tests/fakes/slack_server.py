"""A stand-in for Slack's Web API as a real HTTP server in a thread: it keeps a workspace, and faults on demand.

What breaks the protocol (an unknown method, parameter or path) is rejected and fails the test that used it.
"""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl

from tests.fakes.http_server import FakeServer, HTTPServer
from tests.fakes.slack_blocks import are_blocks
from tests.fakes.slack_faults import NO_FAULT, Fault
from tests.fakes.slack_methods import METHODS, parameters
from tests.fakes.slack_workspace import SlackError, Workspace

RESPONSE_PATH = "/response/"
RESPONSES = 5
_RESPONSE_FIELDS = frozenset(
    {"blocks", "delete_original", "replace_original", "response_type", "text", "thread_ts"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a method as it arrived whole."""

    method: str
    params: dict[str, Any]
    headers: dict[str, str]


@dataclass(slots=True, kw_only=True)
class ResponseURL:
    """A response URL and what was posted to it."""

    url: str
    posts: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    is_expired: bool = False


class SlackServer(FakeServer):
    """The fake. Faults given to `will` are used up in order, those of a method first.

    Leaving the `with` block fails when the protocol was broken.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.workspace = Workspace()
        self.calls: list[Call] = []
        self.violations: list[str] = []
        self.unavailable: set[str] = set()
        self.responses: dict[str, ResponseURL] = {}
        self._faults: dict[str, deque[Fault]] = {}
        self._changed = threading.Condition()
        self._connections: set[socket.socket] = set()
        super().__init__(_Connection, port=port)
        self.api_url = f"{self.url}/api/"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        self.hang_up()
        if error is None:
            assert not self.violations, self.violations

    def leave(self) -> None:
        """Be gone: nobody listens any more."""
        self.stop_listening()
        self.hang_up()

    def hang_up(self) -> None:
        """End every connection."""
        with self._changed:
            for each in self._connections:
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def will(self, *faults: Fault | None, method: str = "") -> None:
        """What to do with the next calls, or the next of `method`, one each; None is what it always does."""
        with self._changed:
            self._faults.setdefault(method, deque()).extend(each or NO_FAULT for each in faults)

    def forget(self) -> None:
        """Play no fault any more."""
        with self._changed:
            self._faults.clear()

    def of(self, method: str) -> list[Call]:
        """The calls of `method`, in order."""
        return [each for each in list(self.calls) if each.method == method]

    def wait_for(self, condition: Callable[[SlackServer], bool], *, within_s: float = 15.0) -> None:
        """Wait until what arrived satisfies `condition`; fail after `within_s`."""
        with self._changed:
            assert self._changed.wait_for(lambda: condition(self), within_s), "it did not arrive in time"

    def response_url(self) -> ResponseURL:
        """A new one, as Slack makes for a click."""
        made = ResponseURL(url=f"{self.url}{RESPONSE_PATH}{len(self.responses) + 1}")
        self.responses[made.url.removeprefix(self.url)] = made
        return made

    def connected(self, connection: socket.socket, is_open: bool) -> None:
        """For the server's connections: one began or ended."""
        with self._changed:
            (self._connections.add if is_open else self._connections.discard)(connection)

    def arrived(self, call: Call) -> Fault:
        """For the server's connections: note a call, get what to do with it."""
        with self._changed:
            self.calls.append(call)
            self._changed.notify_all()
            for name in (call.method, ""):
                if faults := self._faults.get(name):
                    return faults.popleft()
        return NO_FAULT

    def run(self, call: Call) -> dict[str, Any]:
        """Do what `call` asks for; the whole answer."""
        with self.workspace.lock:
            try:
                self._check(call)
                work, _ = METHODS[call.method]
                return {"ok": True, **work(self.workspace, call.params)}
            except SlackError as error:
                return {"ok": False, "error": error.error, **error.extra}

    def respond(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Take what is posted to a response URL."""
        with self._changed:
            known = self.responses.get(path)
            if known is None:
                self.violations.append("a response URL nobody was given")
                return 404, b'{"ok":false,"error":"expired_url"}'
            if known.is_expired or len(known.posts) >= RESPONSES:
                return 404, b'{"ok":false,"error":"used_url"}'
            post = json.loads(body)
            if wrong := _wrong_response(post):
                self.violations.append(f"a response with {wrong}")
                return 400, b"invalid_payload"
            known.posts.append(post)
            known.headers.append(headers)
            self._changed.notify_all()
            return 200, b"ok"

    def _check(self, call: Call) -> None:
        if call.method in self.unavailable:
            raise SlackError("unknown_method", req_method=call.method)
        if call.method not in METHODS:
            self.violations.append(f"unknown method {call.method}")
            raise SlackError("unknown_method", req_method=call.method)
        if (state := self.workspace.token_state.get(_token(call), "invalid_auth")) != "":
            raise SlackError(state)
        self._check_parameters(call)
        scopes = METHODS[call.method][1]
        if scopes and not self.workspace.scopes.intersection(scopes):
            raise SlackError("missing_scope", needed=scopes[0])

    def _check_parameters(self, call: Call) -> None:
        known, needed = parameters(call.method)
        wrong = [f"unknown parameter {name}" for name in call.params.keys() - known]
        wrong += [f"missing parameter {name}" for name in needed - call.params.keys()]
        texts = needed & call.params.keys()
        wrong += [f"parameter {name} is no text" for name in texts if not isinstance(call.params[name], str)]
        if wrong:
            self.violations += [f"{call.method}: {each}" for each in wrong]
            raise SlackError("invalid_arguments", response_metadata={"messages": wrong})


def _wrong_response(post: dict[str, Any]) -> str:
    """What Slack would not take of what is posted to a response URL; empty when it takes it."""
    if unknown := post.keys() - _RESPONSE_FIELDS:
        return f"unknown fields {sorted(unknown)}"
    if post.get("response_type", "ephemeral") not in ("ephemeral", "in_channel"):
        return "an unknown response_type"
    if not isinstance(post.get("text", ""), str) or not (post.get("text") or post.get("blocks")):
        return "no text"
    return "" if are_blocks(post.get("blocks", [])) else "blocks that are none"


def _token(call: Call) -> str:
    return call.headers.get("authorization", "").removeprefix("Bearer ")


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HTTPServer[SlackServer]
    connection: socket.socket

    def handle(self) -> None:
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.fake.connected(self.connection, True)
        try:
            super().handle()
        finally:
            self.server.fake.connected(self.connection, False)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are recorded, not printed."""

    def do_POST(self) -> None:
        size = int(self.headers.get("content-length", "0"))
        body = self.rfile.read(size)
        if len(body) < size:
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.path.startswith(RESPONSE_PATH):
            status, answer = self.server.fake.respond(self.path, headers, body)
            self._answer(status, answer)
        elif self.path.startswith("/api/"):
            self._call(headers, body)
        else:
            self.server.fake.violations.append(f"unknown path {self.path}")
            self._answer(404, b"")

    def do_GET(self) -> None:
        """The project posts everything."""
        self.server.fake.violations.append("a GET")
        self._answer(405, b"")

    def _call(self, headers: dict[str, str], body: bytes) -> None:
        fake = self.server.fake
        params = _params(headers.get("content-type", ""), body)
        if params is None:
            fake.violations.append("a body that is neither JSON nor a form")
            params = {}
        call = Call(method=self.path.removeprefix("/api/"), params=params, headers=headers)
        fault = fake.arrived(call)
        answer = fake.run(call) if fault.does else {}
        match fault.answer:
            case "lost":
                self.close_connection = True
            case "held" if not self._is_opened(fault.opened):
                self.close_connection = True
            case "status":
                self._answer(fault.status, fault.body, fault.headers)
            case "error" if fault.error:
                self._answer(200, json.dumps({"ok": False, "error": fault.error}).encode())
            case _:
                self._answer(200, json.dumps(answer or fake.run(call)).encode())

    def _answer(self, status: int, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-type", "application/json; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _is_opened(self, opened: threading.Event) -> bool:
        """Whether it may go on before the caller left."""
        while not opened.wait(0.02):
            if self.server.fake.stopping.is_set() or self._has_left():
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


def _params(content_type: str, body: bytes) -> dict[str, Any] | None:
    if not body:
        return {}
    try:
        if content_type.startswith("application/json"):
            found = json.loads(body)
            return found if isinstance(found, dict) else None
        if content_type.startswith("application/x-www-form-urlencoded"):
            return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True))
    except ValueError:
        pass
    return None
