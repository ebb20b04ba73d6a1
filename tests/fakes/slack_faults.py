"""What may go wrong with one call to the stand-in for Slack."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to one request. `does` says whether its work is done first.

    `answer`: lost (the connection ends), held (until `opened`, then answered as ever), or an HTTP status with
    `headers` and `body`, or an `ok: false` with `error`.
    """

    does: bool = True
    answer: Literal["lost", "held", "status", "error"] = "lost"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    error: str = ""
    opened: threading.Event = field(default_factory=threading.Event)


def lost() -> Fault:
    """The work is done, the answer is not given."""
    return Fault()


def dropped() -> Fault:
    """Nothing is done, nothing is answered."""
    return Fault(does=False)


def held(*, does: bool = True) -> Fault:
    """Never answered, or when its `opened` is set."""
    return Fault(does=does, answer="held")


def limited(retry_after_s: int) -> Fault:
    """Too many requests."""
    headers = (("Retry-After", str(retry_after_s)),)
    body = b'{"ok":false,"error":"ratelimited"}'
    return Fault(does=False, answer="status", status=429, headers=headers, body=body)


def bad_gateway(*, does: bool) -> Fault:
    """A 502 of something in between."""
    return Fault(does=does, answer="status", status=502, body=b"<html>Bad Gateway</html>")


def gibberish(*, does: bool = True) -> Fault:
    """A 200 that is no JSON."""
    return Fault(does=does, answer="status", body=b"<html>hello</html>")


def refused(error: str) -> Fault:
    """`ok: false` for no reason that the workspace has."""
    return Fault(does=False, answer="error", error=error)


NO_FAULT = Fault(answer="error")
