"""Whether a webhook is from GitHub: the signature of its raw body, checked before anything else reads it.

Source: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from services.variables import Secret

SIGNATURE = "x-hub-signature-256"

Refusal = Literal["missing", "malformed", "mismatch"]

_SCHEME = "sha256="
_digest = re.compile(r"[0-9a-f]{64}", re.ASCII)


def refusal_of(secrets: Sequence[Secret], headers: Mapping[str, str], body: bytes) -> Refusal | None:
    """Why nobody who holds one of `secrets` sent exactly `body`; None when somebody did. Never raises.

    Names of `headers` in any case. Takes the same time wherever a signature differs, and whichever secret fits.
    """
    given = next((value for name, value in headers.items() if name.lower() == SIGNATURE), "")
    if not given:
        return "missing"
    digest = given.removeprefix(_SCHEME)
    if digest == given or not _digest.fullmatch(digest):
        return "malformed"
    theirs = digest.encode()
    matches = [hmac.compare_digest(_signed(secret, body), theirs) for secret in secrets]
    return None if any(matches) else "mismatch"


def signature_of(secret: Secret, body: bytes) -> str:
    """The value of the header that signs `body`."""
    return _SCHEME + _signed(secret, body).decode()


def _signed(secret: Secret, body: bytes) -> bytes:
    return hmac.digest(secret.reveal().encode(), body, hashlib.sha256).hex().encode()
