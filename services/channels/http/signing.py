"""Signatures of webhooks, ours and those of others, as Standard Webhooks 1.0.0 has them (version v1).

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

from services.errors import Forged

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE_S = 300

_SCHEME = b"v1,"
_SIGNATURES = 32
_SIGNATURES_LENGTH = 8192

_id = re.compile(r"[\x21-\x7e]{1,256}")
_timestamp = re.compile(r"[0-9]{1,12}", re.ASCII)


class BadSignature(Forged):
    """A webhook is not from who it should be from, or too old. Answer 401, do nothing else.

    `reason` is a safe code: missing, malformed, too_old, too_new, mismatch.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"bad webhook signature: {reason}")
        self.reason = reason


def signed_headers(keys: Sequence[bytes], *, id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The three headers that sign `body`, with one signature for each key: receivers accept any of them."""
    timestamp = str(timestamp_s)
    signatures = (_signature(key, id, timestamp, body).decode() for key in keys)
    return {ID: id, TIMESTAMP: timestamp, SIGNATURE: " ".join(signatures)}


def verify(
    keys: Sequence[bytes],
    headers: Mapping[str, str],
    body: bytes,
    *,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> str:
    """Check that who holds one of `keys` sent exactly `body` within `tolerance_s` of `now_s`; return its id.

    Names of `headers` in any case; signatures of unknown versions are passed by. Takes the same time
    wherever a signature differs. Raises: BadSignature, whatever the input is.
    """
    given = {name.lower(): value for name, value in headers.items()}
    id, timestamp, signatures = (given.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not (id and timestamp and signatures):
        raise BadSignature("missing")
    if not _id.fullmatch(id) or not _timestamp.fullmatch(timestamp):
        raise BadSignature("malformed")
    if len(signatures) > _SIGNATURES_LENGTH or signatures.count(" ") >= _SIGNATURES:
        raise BadSignature("malformed")
    age_s = now_s - int(timestamp)
    if abs(age_s) > tolerance_s:
        raise BadSignature("too_old" if age_s > 0 else "too_new")
    candidates = [each.encode("utf-8", "surrogatepass") for each in signatures.split(" ")]
    expected = [_signature(key, id, timestamp, body) for key in keys]
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in candidates]
    if not any(matches):
        raise BadSignature("mismatch")
    return id


def _signature(key: bytes, id: str, timestamp: str, body: bytes) -> bytes:
    digest = hmac.digest(key, f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return _SCHEME + base64.b64encode(digest)
