"""Who may call what: every route needs a known bearer token unless it is on the open list.

Runs before the body is read and before routing decides, so an unknown path tells a stranger nothing.
"""

from __future__ import annotations

from typing import Protocol

from flask import Flask, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from services.tokens import TokenId
from web.problems import Failure


class TokenBook(Protocol):
    """Who a token belongs to; None when nobody knows it. Raises: Unavailable."""

    def verify(self, token: str) -> TokenId | None: ...


# What is signed carries no token, and each sender has a bound of its own.
SIGNED = "webhooks."


def register(app: Flask, tokens: TokenBook, *, open_endpoints: frozenset[str]) -> None:
    """Refuse every request of `app` without a known token, except those to `open_endpoints` and signed ones."""

    def check() -> None:
        if request.endpoint is not None and request.endpoint.startswith(SIGNED):
            return
        if request.endpoint not in open_endpoints:
            g.token = _authenticate(tokens)
        most = app.config["MAX_CONTENT_LENGTH"]
        if most is not None and (request.content_length or 0) > most:
            raise RequestEntityTooLarge

    app.before_request(check)


def caller() -> TokenId:
    """The token this request came with. Only behind the gate."""
    return TokenId(g.token)


def _authenticate(tokens: TokenBook) -> TokenId:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Failure("unauthorized", headers={"WWW-Authenticate": 'Bearer realm="turnwright"'})
    known = tokens.verify(token.strip())
    if known is None:
        challenge = 'Bearer realm="turnwright", error="invalid_token"'
        raise Failure("unauthorized", headers={"WWW-Authenticate": challenge})
    return known
