"""Gunicorn's threaded worker, with an end to everything a caller can let it wait for.

A request's head is collected in the main thread and gets a thread once it is whole; reading a body and
sending an answer have deadlines; closing and stopping wait for nobody.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from selectors import EVENT_READ
from typing import TYPE_CHECKING

from gunicorn import util
from gunicorn.workers.gthread import TConn, ThreadWorker

if TYPE_CHECKING:
    from gunicorn.http.message import Request
    from typing_extensions import Buffer

HEAD_LIMIT = 65_536

_HEAD_END = b"\r\n\r\n"
_ANSWER_BEGINS = b"HTTP/1."
_CHUNK = 65_536
_ANSWER_S = 60.0
_STOP_LINGER_S = 1.0
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn publishes no types
    """Serves whole requests; `head_s` is a head's time from its connection, `body_s` a body's from there, `pause_s`
    any silence's."""

    head_s = 10.0
    body_s = 60.0
    pause_s = 10.0

    def accept(self, listener: socket.socket) -> None:
        """Take a connection; it waits for its request without a thread."""
        try:
            accepted, address = listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        self.nr_conns += 1
        caller = _PatientSocket(fileno=accepted.detach())
        caller.pause_s = self.pause_s
        self.enqueue_req(_Connection(self.cfg, caller, address, listener.getsockname()))

    def enqueue_req(self, conn: _Connection) -> None:
        """Give `conn` a thread if the head of its next request is there, otherwise wait for that."""
        if conn.parser is not None:
            conn.head += conn.parser.unreader.take_buffered()
        if _HEAD_END in conn.head:
            self._start(conn)
            return
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + self.head_s
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def on_pending_socket_readable(self, conn: _Connection, client: socket.socket) -> None:
        """Read on in the head of a request; its deadline stays."""
        try:
            chunk = client.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        conn.head += chunk
        is_whole = _HEAD_END in conn.head
        if chunk and not is_whole and len(conn.head) <= HEAD_LIMIT:
            return
        self.poller.unregister(client)
        self.pending_conns.remove(conn)
        if chunk and is_whole:
            self._start(conn)
        else:
            self._refuse(conn, _TOO_LARGE if chunk else b"")

    def murder_pending(self) -> None:
        """Close whoever did not send a head in time; while stopping that is soon."""
        if not self.alive:
            until = time.monotonic() + _STOP_LINGER_S
            for conn in self.pending_conns:
                conn.timeout = min(conn.timeout, until)
        super().murder_pending()

    def handle(self, conn: _Connection) -> object:
        """Serve the request whose head is there. Runs in a thread."""
        conn.init()
        conn.parser.unreader.unread(bytes(conn.head))
        conn.head.clear()
        conn.sock.reads_until = time.monotonic() + self.body_s
        try:
            return super().handle(conn)
        finally:
            conn.sock.reads_until = None
            with suppress(OSError):
                conn.sock.flush()

    def handle_request(self, req: Request, conn: _Connection) -> bool:
        """Answer one request; whether another may follow on its connection."""
        conn.sock.leave_body = req.force_close
        return bool(super().handle_request(req, conn))

    def finish_request(self, conn: _Connection, fs: object) -> None:
        """Keep or close the connection of a request that was served."""
        self._served.discard(conn)
        super().finish_request(conn, fs)

    def run(self) -> None:
        """Serve until told to stop; who is not done after the grace period loses the connection."""
        self._served: set[_Connection] = set()
        try:
            super().run()
        finally:
            for conn in tuple(self._served):
                with suppress(OSError):
                    conn.sock.shutdown(socket.SHUT_RDWR)

    def _start(self, conn: _Connection) -> None:
        conn.data_ready = True
        self._served.add(conn)
        super().enqueue_req(conn)

    def _refuse(self, conn: _Connection, answer: bytes) -> None:
        self.nr_conns -= 1
        with suppress(OSError):
            conn.sock.send(answer)
        conn.close(graceful=True)


class _Connection(TConn):  # type: ignore[misc]  # gunicorn publishes no types
    def __init__(self, *given: object) -> None:
        super().__init__(*given)
        self.head = bytearray()

    def close(self, graceful: bool = False) -> None:
        """Close without waiting: gunicorn 27 waits up to 2 s, in its main thread, for the caller to close."""
        if graceful:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_WR)
                self.sock.setblocking(False)
                # Bytes left unread would take the answer back.
                self.sock.recv(_CHUNK)
        util.close(self.sock)


class _PatientSocket(socket.socket):
    """Never waits without an end: where gunicorn asks it to block, it waits for `pause_s` at most."""

    pause_s = PatientWorker.pause_s
    # However often a byte of it comes, a body is there by then (monotonic seconds).
    reads_until: float | None = None
    # Says that nobody will read on in the body of the request that is served: the connection ends with its answer.
    leave_body: Callable[[], None]
    _head = b""

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """Receive something. Who only looks what is there has no time limit."""
        if self.reads_until is not None and not flags:
            left = self.reads_until - time.monotonic()
            if left <= 0:
                raise TimeoutError("the caller sends too slowly")
            self.settimeout(min(self.pause_s, left))
        return super().recv(bufsize, flags)

    def setblocking(self, flag: bool) -> None:
        self.settimeout(self.pause_s if flag else 0.0)

    def sendall(self, data: Buffer, flags: int = 0) -> None:
        """Send everything; a caller who reads nothing for a while, or too slowly, is taken for gone.

        The head of an answer waits for the body that follows, or for `flush`: between two calls of the system other
        threads would get their turn, and the caller waits for both.
        """
        piece = bytes(data)
        if not self._head and piece.startswith(_ANSWER_BEGINS) and piece.endswith(_HEAD_END):
            self._head = piece
            return
        piece, self._head = self._head + piece, b""
        self._send_all(piece, flags)

    def flush(self) -> None:
        """Send a head that no body followed."""
        if self._head:
            self.sendall(b"")

    def _send_all(self, data: bytes, flags: int) -> None:
        ends = time.monotonic() + _ANSWER_S
        left = memoryview(data)
        while left:
            try:
                left = left[self.send(left, flags) :]
            except TimeoutError:
                raise BrokenPipeError(errno.EPIPE, "the caller stopped reading") from None
            if left and time.monotonic() > ends:
                raise BrokenPipeError(errno.EPIPE, "the caller reads too slowly")
