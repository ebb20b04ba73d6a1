"""The caller's connection, where the server shows it: no caller holds a thread without using it."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from flask import Flask, Response, g, request

_BODY_PAUSE_S = 10.0


def register(app: Flask) -> None:
    """Let `app` give up on what callers owe it: gunicorn would wait for it, in its main thread too."""
    app.after_request(_leave_unread_body)
    app.after_request(_leave_last_request)


@contextmanager
def reading_body() -> Iterator[None]:
    """Around reading the body: a caller that sends nothing for a while is taken for gone."""
    connection = _connection()
    before = None if connection is None else connection.gettimeout()
    if connection is not None:
        connection.settimeout(_BODY_PAUSE_S)
    try:
        yield
    finally:
        if connection is not None:
            with suppress(OSError):
                connection.settimeout(before)
    g.has_read_body = True


def has_body() -> bool:
    """Whether the request announces a body."""
    return bool(request.content_length) or "Transfer-Encoding" in request.headers


def watch_caller() -> Callable[[], bool]:
    """A test whether the caller hung up, so that its place is free before the next write fails."""
    connection = _connection()

    def has_left() -> bool:
        if connection is None:
            return False
        try:
            return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    return has_left


def _connection() -> socket.socket | None:
    found = request.environ.get("gunicorn.socket") or request.environ.get("werkzeug.socket")
    return found if isinstance(found, socket.socket) else None


def _leave_unread_body(response: Response) -> Response:
    connection = _connection()
    if connection is not None and has_body() and not g.get("has_read_body", False):
        response.headers["Connection"] = "close"
        _stop_reading(connection)
    return response


def _leave_last_request(response: Response) -> Response:
    connection = _connection()
    if connection is not None and _is_last_request():
        # Closing, gunicorn 27 waits up to 2 s in its main thread for a caller who does not close too.
        response.call_on_close(lambda: _stop_reading(connection))
    return response


def _is_last_request() -> bool:
    is_old = request.environ.get("SERVER_PROTOCOL") == "HTTP/1.0"
    return is_old or "close" in request.headers.get("Connection", "").lower()


def _stop_reading(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RD)
