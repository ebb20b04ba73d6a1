"""The load generator: prompts over keep-alive connections from one thread, with no library in between.

In an open loop latency counts from the time a prompt was to be sent at, so that a server that stalls, or a
generator that is late, is not flattered. `python -m tests.benchmarks.generator` reads a plan from its input and
writes a report, both JSON.
"""

from __future__ import annotations

import gc
import selectors
import socket
import sys
import time
from collections import deque

import msgspec

from tests.benchmarks.load import Plan, Report, Sent

_TIME_TO_ANSWER_S = 30.0


class Accepted(msgspec.Struct, frozen=True):
    """The part of an answer that a report needs."""

    session: str
    offset: int


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.place: int | None = None
        self.received = b""

    def start(self, place: int, request: bytes) -> None:
        self.place, self.received = place, b""
        self.socket.send(request)

    def answer(self) -> tuple[int, bytes] | None:
        """Status and body once they are complete. Raises: ConnectionError when the server closed."""
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionResetError("the server closed the connection")
        self.received += part
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return None
        lines = head.lower().split(b"\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        return (int(head[9:12]), body) if len(body) >= length else None


class _Generator:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        # The others round every timeout up to a whole millisecond.
        self._selector = selectors.SelectSelector()
        self._idle: deque[_Connection] = deque()
        self._open = 0
        gap = 1 / plan.rate_per_s if plan.rate_per_s else 0.0
        self._sent = [Sent(due_s=0.05 + place * gap) for place in range(len(plan.prompts))]
        self._requests = [_request(plan, place) for place in range(len(plan.prompts))]
        self._bodies = [b""] * len(plan.prompts)
        self._began = 0.0

    def run(self) -> Report:
        gc.disable()
        waiting, left = deque(range(len(self._sent))), len(self._sent)
        self._began, cpu_s = time.monotonic(), time.process_time()
        while left:
            while waiting and self._sent[waiting[0]].due_s <= self._now() and (free := self._free()):
                self._start(free, waiting.popleft())
            pause_s = self._sent[waiting[0]].due_s - self._now() if waiting else 0.0
            ready = self._selector.select(pause_s if pause_s > 0 else _TIME_TO_ANSWER_S)
            if pause_s <= 0 and not ready:
                raise TimeoutError("the server does not answer")
            left -= sum(self._receive(key.data) for key, _ in ready)
        wall_s, cpu_s = self._now(), time.process_time() - cpu_s
        for sent, body in zip(self._sent, self._bodies, strict=True):
            if sent.status == 202:
                accepted = msgspec.json.decode(body, type=Accepted)
                sent.session, sent.offset = accepted.session, accepted.offset
        return Report(began=self._began, sent=self._sent, wall_s=wall_s, cpu_s=cpu_s)

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _free(self) -> _Connection | None:
        if self._idle:
            return self._idle.popleft()
        return self._connect() if self._open < self._plan.connections else None

    def _connect(self) -> _Connection:
        made = _Connection(self._plan.port)
        self._selector.register(made.socket, selectors.EVENT_READ, made)
        self._open += 1
        return made

    def _start(self, connection: _Connection, place: int) -> None:
        sent, now = self._sent[place], self._now()
        if not self._plan.rate_per_s:
            sent.due_s = now
        sent.late_ms = (now - sent.due_s) * 1000
        connection.start(place, self._requests[place])

    def _receive(self, connection: _Connection) -> bool:
        """Whether this finished a prompt."""
        try:
            answer = connection.answer()
        except ConnectionError:
            self._replace(connection)
            return False
        if answer is None or connection.place is None:
            return False
        sent = self._sent[connection.place]
        sent.latency_ms = (self._now() - sent.due_s) * 1000
        sent.status, self._bodies[connection.place] = answer
        connection.place = None
        self._idle.append(connection)
        return True

    def _replace(self, closed: _Connection) -> None:
        """The server closes what was idle for long; a prompt that crossed with that is sent again."""
        self._selector.unregister(closed.socket)
        closed.socket.close()
        self._open -= 1
        if closed.place is None:
            self._idle.remove(closed)
        elif closed.received:
            raise ConnectionResetError("the server closed the connection within an answer")
        else:
            self._connect().start(closed.place, self._requests[closed.place])


def _request(plan: Plan, place: int) -> bytes:
    body = msgspec.json.encode(plan.prompts[place])
    key = f"Idempotency-Key: {plan.keys}-{place}\r\n" if plan.keys else ""
    head = (
        "POST /api/prompts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {plan.token}\r\n{key}Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main() -> None:
    """Read the plan, follow it, write the report."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    sys.stdout.buffer.write(msgspec.json.encode(_Generator(plan).run()))


if __name__ == "__main__":
    main()
