"""What is sent: documents whose headers are complete and ours, under headers that every response has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import Response
from werkzeug.datastructures import Headers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_ALWAYS = [
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
]


class Document(Response):
    """A body of known length under headers that nothing has to be done to."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        """See werkzeug, which looks for addresses to escape and lengths to add."""
        return self.headers


class Guarded:
    """An application whose responses tell browsers to keep, frame, run and guess nothing."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status, headers, *error):  # type: ignore[no-untyped-def]  # as it was called
            return start_response(status, [*headers, *_ALWAYS], *error)

        return self._app(environ, start)
