"""What GitHub's answers mean for repeating a request: by status, limits and a few words of its messages.

Its words are looked at where the status says too little, and never passed on.
Source: https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TypeVar

import msgspec

from services.channels.contract import DeliveryError, DeliveryErrorKind

LONGEST_RETRY_AFTER_S = 86_400.0
# What GitHub asks for when a limit names no time.
UNTOLD_S = 60.0

T = TypeVar("T")

_seconds = re.compile(r"\d{1,10}", re.ASCII)
_PHRASES: tuple[tuple[str, DeliveryErrorKind, str], ...] = (
    ("archived", "refused", "archived"),
    ("is locked", "refused", "locked"),
    ("suspended", "rejected", "suspended"),
    ("resource not accessible", "rejected", "no_permission"),
    ("resource protected by organization saml", "rejected", "no_permission"),
)
# Of both kinds of limits: something between us may have taken the headers away.
_LIMITS = ("rate limit", "abuse detection")
_PHRASES_READ = 4096


class _Refusal(msgspec.Struct, frozen=True):
    message: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, read whole. Names of `headers` are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def at_s(self) -> float | None:
        """When GitHub answered, by its own clock, epoch seconds; None if it does not say."""
        try:
            return parsedate_to_datetime(self.headers.get("date", "")).timestamp()
        except (ValueError, OverflowError):
            return None

    def read(self, shape: type[T], *, is_write: bool = False) -> T:
        """The body as `shape`. Raises: DeliveryError: ambiguous for what was written, else not_sent."""
        try:
            return msgspec.json.decode(self.body, type=shape)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise DeliveryError(
                "ambiguous" if is_write else "not_sent", code="malformed", status=self.status
            ) from None


def failure_of(answer: Answer, *, is_write: bool, now_s: float) -> DeliveryError | None:
    """The error of an answer that is none; None for a 2xx. `now_s` is epoch seconds, for answers without a date.

    A 5xx may come after the work was done: of a write nobody knows.
    """
    status = answer.status
    if 200 <= status < 300:
        return None
    said = _message(answer)
    if status in (403, 429) and (wait_s := _limited_s(answer, said, now_s)) is not None:
        return DeliveryError(
            "overloaded", code=f"http_{status}", status=status, retry_after_s=wait_s, is_limit=True
        )
    kind, code = _judged(status, said, is_write=is_write)
    retry_after_s = _retry_after_s(answer) if status >= 500 else None
    return DeliveryError(kind, code=code or f"http_{status}", status=status, retry_after_s=retry_after_s)


def _judged(status: int, said: str, *, is_write: bool) -> tuple[DeliveryErrorKind, str]:
    match status:
        case 404 | 410:
            return "gone", ""
        case 401:
            return "rejected", "bad_credentials"
        case 403 | 422:
            by_words = ((kind, code) for words, kind, code in _PHRASES if words in said)
            return next(by_words, ("refused" if status == 422 else "rejected", ""))
        case _ if status >= 500:
            return "ambiguous" if is_write else "not_sent", ""
        case 400 | 413 | 415:
            return "refused", ""
        case _:
            return "rejected", ""


def _limited_s(answer: Answer, said: str, now_s: float) -> float | None:
    """How long a rate limit lasts; None when there is none."""
    asked_s = _retry_after_s(answer)
    if asked_s is not None:
        return asked_s
    reset = answer.headers.get("x-ratelimit-reset", "")
    if answer.headers.get("x-ratelimit-remaining", "").strip() == "0" and _seconds.fullmatch(reset):
        # Full seconds: a second more, so that it is over then. Both times are GitHub's, whatever our clock says.
        at_s = now_s if answer.at_s is None else answer.at_s
        return min(max(0.0, float(reset) - at_s) + 1.0, LONGEST_RETRY_AFTER_S)
    if answer.status == 429 or any(words in said for words in _LIMITS):
        return UNTOLD_S
    return None


def _retry_after_s(answer: Answer) -> float | None:
    given = answer.headers.get("retry-after", "").strip()
    return min(float(given), LONGEST_RETRY_AFTER_S) if _seconds.fullmatch(given) else None


def _message(answer: Answer) -> str:
    try:
        found = msgspec.json.decode(answer.body, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return found.message[:_PHRASES_READ].lower()
