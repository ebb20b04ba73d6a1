"""A model vendor as a real HTTP server in a thread: it records every request and does what it is told.

`python -m tests.fakes.llm_server --port 9000 --delay-ms 20` runs one by itself, for benchmarks.
"""

from __future__ import annotations

import argparse
import os
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from services.llm.provider import ChatRequest, Finished, Piece, TextDelta, TokenUsage
from tests.fakes.http_server import FakeServer, HTTPServer
from tests.fakes.llm_dialects import Dialect, Fault, JSONLines
from tests.fakes.llm_scripts import (
    Answer,
    Cut,
    Garbage,
    HangUp,
    Script,
    Stall,
    Status,
    StreamError,
    Verbatim,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One request. `received_at` is epoch seconds, when its body was complete."""

    path: str
    headers: dict[str, str]
    body: bytes
    asked: ChatRequest
    received_at: float


def echo(recorded: Recorded) -> Script:
    """Repeat the last text of the user in a few pieces."""
    last = next((m.text for m in reversed(recorded.asked.messages) if m.role == "user"), "")
    pieces: list[Piece] = [TextDelta("echo: "), *(TextDelta(word + " ") for word in last.split())]
    usage = TokenUsage(input=len(last.split()), output=len(pieces))
    return Answer(pieces=(*pieces, usage, Finished(reason="stop", model=recorded.asked.model)))


class LLMServer(FakeServer):
    """The fake. Scripts given to `will` are used up in order, then `respond` decides."""

    def __init__(
        self,
        dialect: Dialect | None = None,
        *,
        respond: Callable[[Recorded], Script] = echo,
        port: int = 0,
    ) -> None:
        self.dialect = dialect or JSONLines()
        self.respond = respond
        self.requests: list[Recorded] = []
        self.faults: list[Fault] = []
        self.connections = 0
        self.connections_with_bytes = 0
        self.disconnects = 0
        self._scripts: deque[Script] = deque()
        self._changed = threading.Condition()
        super().__init__(_Connection, port=port)

    def will(self, *scripts: Script) -> None:
        """What to do with the next requests, one script each."""
        with self._changed:
            self._scripts.extend(scripts)

    def wait_for(self, condition: Callable[[LLMServer], bool], *, within_s: float = 5.0) -> bool:
        """Wait until something that was recorded satisfies `condition`; False after `within_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: condition(self), within_s)

    def count(self, *, connections: int = 0, with_bytes: int = 0, disconnects: int = 0) -> None:
        """For the server's connections: tell what happened."""
        with self._changed:
            self.connections += connections
            self.connections_with_bytes += with_bytes
            self.disconnects += disconnects
            self._changed.notify_all()

    def record(self, recorded: Recorded) -> Script:
        """For the server's connections: note the request, get what to do with it."""
        with self._changed:
            self.requests.append(recorded)
            self._changed.notify_all()
            if self._scripts:
                return self._scripts.popleft()
        return self.respond(recorded)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HTTPServer[LLMServer]
    connection: socket.socket

    def handle(self) -> None:
        self.server.fake.count(connections=1)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.connection.recv(1, socket.MSG_PEEK):
            self.server.fake.count(with_bytes=1)
            super().handle()
        else:
            self.server.fake.count(disconnects=1)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are recorded, not printed."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        fake = self.server.fake
        headers = {name.lower(): value for name, value in self.headers.items()}
        fault = fake.dialect.fault(self.path, headers, body)
        if fault is not None:
            fake.faults.append(fault)
            self._refuse(Status(status=fault.status, reason=fault.reason), fake.dialect)
            return
        script = fake.record(
            Recorded(
                path=self.path,
                headers=headers,
                body=body,
                asked=fake.dialect.read(body),
                received_at=time.time(),
            )
        )
        self._play(script, fake.dialect)

    def _play(self, script: Script, dialect: Dialect) -> None:
        match script:
            case Answer():
                self._pause(script.delay_s)
                self._head()
                for position, chunk in enumerate(dialect.answer(script.pieces)):
                    self._pause(script.gap_s if position else 0)
                    self._chunk(chunk)
                self._end()
            case Stall():
                if script.after >= 0:
                    self._head_and(dialect.answer(script.pieces)[: script.after])
                self._wait_for_disconnect()
            case Cut():
                self._head_and(_before_end(dialect.answer(script.pieces), script.after))
                self._cut(script)
            case HangUp():
                self.close_connection = True
            case Status():
                self._refuse(script, dialect)
            case StreamError():
                self._head_and(_before_end(dialect.answer(script.pieces), script.after))
                self._chunk(dialect.stream_error(script.code))
                self._end()
            case Garbage():
                self._head_and(_before_end(dialect.answer(script.pieces), script.after))
                self._chunk(script.body)
                self._end()
            case Verbatim():
                self._send(script.status, script.headers, script.body)

    def _head(self) -> None:
        self.send_response(200)
        self.send_header("content-type", self.server.fake.dialect.content_type)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def _head_and(self, chunks: list[bytes]) -> None:
        self._head()
        for chunk in chunks:
            self._chunk(chunk)

    def _chunk(self, chunk: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))

    def _end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def _cut(self, script: Cut) -> None:
        self.close_connection = True
        if script.how == "end":
            self._end()
        elif script.how == "reset":
            # Closed below socketserver, which would end its sending side cleanly first.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

    def _refuse(self, script: Status, dialect: Dialect) -> None:
        headers = (("retry-after", script.retry_after),) if script.retry_after else ()
        self._send(script.status, headers, dialect.refusal(script.reason))

    def _send(self, status: int, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        self.send_response(status)
        for name, value in (*headers, ("content-length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _pause(self, seconds: float) -> None:
        if seconds and self.server.fake.stopping.wait(seconds):
            raise ConnectionAbortedError

    def _wait_for_disconnect(self) -> None:
        self.close_connection = True
        self.connection.settimeout(0.05)
        while not self.server.fake.stopping.is_set():
            try:
                if self.connection.recv(1):
                    continue
            except TimeoutError:
                continue
            except OSError:
                pass
            self.server.fake.count(disconnects=1)
            return


def _before_end(chunks: list[bytes], after: int) -> list[bytes]:
    if not 0 <= after < len(chunks):
        raise ValueError(f"cut after {after} of {len(chunks)} chunks: the end would be sent")
    return chunks[:after]


def main() -> None:
    """Serve echoes until the process is ended."""
    options = argparse.ArgumentParser(description="A stand-in for a model vendor (JSON lines).")
    options.add_argument("--port", type=int, default=0)
    options.add_argument("--delay-ms", type=float, default=0.0)
    chosen = options.parse_args()

    def respond(recorded: Recorded) -> Script:
        script = echo(recorded)
        pieces = script.pieces if isinstance(script, Answer) else ()
        return Answer(pieces=pieces, delay_s=chosen.delay_ms / 1000)

    with LLMServer(respond=respond, port=chosen.port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
