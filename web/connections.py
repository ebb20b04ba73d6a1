"""The caller's connection, where the server shows it: no caller holds a thread without using it."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from flask import Flask, Response, g

from web.here import this_request

_BODY_PAUSE_S = 10.0


def register(app: Flask) -> None:
    """Let `app` give up on bodies nobody reads: gunicorn would wait for their end."""
    app.after_request(_leave_unread_body)


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
    here = this_request()
    return bool(here.content_length) or "Transfer-Encoding" in here.headers


def watch_caller() -> Callable[[], bool]:
    """A test whether the caller hung up, so that its place is free before the next write fails."""
    connection = _connection()

    if connection is None:
        return lambda: False
    # Asked first: a socket with a timeout waits for it, even when told not to wait.
    readable = select.poll()
    readable.register(connection, select.POLLIN)

    def has_left() -> bool:
        try:
            return bool(readable.poll(0)) and connection.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    return has_left


def _connection() -> socket.socket | None:
    environ = this_request().environ
    found = environ.get("gunicorn.socket") or environ.get("werkzeug.socket")
    return found if isinstance(found, socket.socket) else None


def _leave_unread_body(response: Response) -> Response:
    connection = _connection()
    if connection is not None and has_body() and not g.get("has_read_body", False):
        response.headers["Connection"] = "close"
        # Our server's own; gunicorn believes no header of an application. Where the body ends is unknown here,
        # and what came of it later would be taken for the next request.
        getattr(connection, "leave_body", lambda: None)()
    return response
