"""Signatures with the shared secret, the same both ways: HMAC-SHA256 of `<epoch seconds>.<body>`, in hex."""

from __future__ import annotations

import hashlib
import hmac

from turnwright import Request

TIME, SIGNATURE = "x-acme-time", "x-acme-signature"
TOLERANCE_S = 300


def signed_headers(secret: bytes, body: bytes, *, at_s: int) -> dict[str, str]:
    """The headers that sign `body`."""
    return {TIME: str(at_s), SIGNATURE: _signature(secret, body, str(at_s))}


def is_signed(secret: bytes, request: Request) -> bool:
    """Whether who holds `secret` sent this a short while ago."""
    at, given = request.header(TIME), request.header(SIGNATURE)
    if not (at.isascii() and at.isdecimal() and len(at) <= 12):
        return False
    if abs(request.received_s - int(at)) > TOLERANCE_S:
        return False
    return hmac.compare_digest(_signature(secret, request.body, at).encode(), given.encode())


def _signature(secret: bytes, body: bytes, at: str) -> str:
    return hmac.new(secret, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
