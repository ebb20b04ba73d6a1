"""What an HTTP status of a model vendor means for repeating the request. Shared by every HTTP provider."""

from __future__ import annotations

import math
import time
from datetime import UTC
from email.utils import parsedate_to_datetime

from services.llm.provider import ErrorKind, ProviderError

_KINDS: dict[int, ErrorKind] = {
    402: "quota",
    408: "ambiguous",
    413: "context_too_long",
    425: "overloaded",
    429: "overloaded",
    503: "overloaded",
    529: "overloaded",
}


def status_error(status: int, *, retry_after: str = "", kind: ErrorKind | None = None) -> ProviderError:
    """The error for an answer that is not 2xx. Its code is `http_<status>`.

    `retry_after` is the header as it came: seconds or an HTTP date; nonsense is ignored. `kind` overrules
    the status where the vendor's body says more (a 400 that means the context is too long, a 429 that
    means the money is gone). Other 4xx and 3xx are `rejected`, other 5xx `ambiguous`.
    """
    by_status: ErrorKind = _KINDS.get(status, "ambiguous" if status >= 500 else "rejected")
    return ProviderError(
        kind or by_status, code=f"http_{status}", retry_after_s=_seconds(retry_after.strip())
    )


def _seconds(retry_after: str) -> float | None:
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        seconds = _seconds_until(retry_after)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _seconds_until(http_date: str) -> float:
    try:
        at = parsedate_to_datetime(http_date)
        return at.replace(tzinfo=at.tzinfo or UTC).timestamp() - time.time()
    except (ValueError, OverflowError):
        return math.nan
