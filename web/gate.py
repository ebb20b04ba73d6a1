"""Who may call what: every route needs a known bearer token unless it is on the open list.

Runs before the body is read and before routing decides, so an unknown path tells a stranger nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from flask import Flask, g
from werkzeug.exceptions import RequestEntityTooLarge

from services.tokens import TokenId
from web.here import this_request
from web.problems import Failure


class TokenBook(Protocol):
    """Who a token belongs to; None when nobody knows it. Raises: Unavailable."""

    def verify(self, token: str) -> TokenId | None: ...


# What is signed carries no token, and each sender has a bound of its own.
SIGNED = "webhooks."


Verify = Callable[[str], TokenId | None]


def register(
    app: Flask, tokens: TokenBook, *, open_endpoints: frozenset[str], others: Mapping[str, Verify]
) -> None:
    """Refuse every request of `app` without a known token, except those to `open_endpoints` and signed ones.

    What is in `others` is asked about the tokens of these endpoints.
    """

    def check() -> None:
        here = this_request()
        endpoint = here.endpoint
        if endpoint is not None and endpoint.startswith(SIGNED):
            return
        if endpoint not in open_endpoints:
            g.token = _authenticate(others.get(endpoint or "", tokens.verify))
        most = app.config["MAX_CONTENT_LENGTH"]
        if most is not None and (here.content_length or 0) > most:
            raise RequestEntityTooLarge

    app.before_request(check)


def caller() -> TokenId:
    """The token this request came with. Only behind the gate."""
    return TokenId(g.token)


def _authenticate(verify: Verify) -> TokenId:
    scheme, _, token = this_request().headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Failure("unauthorized", headers={"WWW-Authenticate": 'Bearer realm="turnwright"'})
    known = verify(token.strip())
    if known is None:
        challenge = 'Bearer realm="turnwright", error="invalid_token"'
        raise Failure("unauthorized", headers={"WWW-Authenticate": challenge})
    return known
