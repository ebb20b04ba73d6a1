"""Whether a request is from Slack: its v0 signature over the raw body, and its age.

Source: https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence

from services.errors import Forged
from services.variables import Secret

TIMESTAMP, SIGNATURE = "x-slack-request-timestamp", "x-slack-signature"
TOLERANCE_S = 300

_timestamp = re.compile(r"[0-9]{1,12}", re.ASCII)
_signature = re.compile(r"v0=[0-9a-f]{64}", re.ASCII)


class BadSlackSignature(Forged):
    """A request is not from Slack, or too old. Answer 401, do nothing else.

    `reason` is a safe code: missing, repeated, malformed, too_old, too_new, mismatch.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"bad Slack signature: {reason}")
        self.reason = reason


def sign(secret: str, timestamp: str, body: bytes) -> str:
    """The signature that the holder of `secret` gives `body` at `timestamp` (epoch seconds, as digits)."""
    signed = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def verify(
    secrets: Sequence[Secret],
    headers: Iterable[tuple[str, str]],
    body: bytes,
    *,
    now_s: float,
    tolerance_s: float = TOLERANCE_S,
) -> None:
    """Check that who holds one of `secrets` sent exactly `body` within `tolerance_s` of `now_s`.

    Names of `headers` in any case; one that came twice is refused. Every secret is tried, whichever fits,
    and each comparison takes the same time wherever it differs. Raises: BadSlackSignature, whatever the input is.
    """
    given = list(headers)
    timestamp, signature = _only(given, TIMESTAMP), _only(given, SIGNATURE)
    if not _timestamp.fullmatch(timestamp) or not _signature.fullmatch(signature):
        raise BadSlackSignature("malformed")
    age_s = now_s - int(timestamp)
    if abs(age_s) > tolerance_s:
        raise BadSlackSignature("too_old" if age_s > 0 else "too_new")
    theirs = signature.encode()
    matches = [
        hmac.compare_digest(sign(secret.reveal(), timestamp, body).encode(), theirs) for secret in secrets
    ]
    if not any(matches):
        raise BadSlackSignature("mismatch")


def _only(headers: Sequence[tuple[str, str]], name: str) -> str:
    found = [value for key, value in headers if key.lower() == name]
    if not any(found):
        raise BadSlackSignature("missing")
    if len(found) > 1:
        raise BadSlackSignature("repeated")
    return found[0]
