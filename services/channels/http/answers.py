"""What an answer to a callback means, by its status and headers alone. Its body is nobody's business."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime

from services.channels.contract import DeliveryError, Receipt

GONE = 410
OVERLOADED = frozenset({429, 502, 503, 504})
# Who asks for more is asked again after this.
LONGEST_RETRY_AFTER_S = 86_400.0

Headers = Iterable[tuple[bytes, bytes]]

_seconds = re.compile(r"[0-9]{1,9}", re.ASCII)


def receipt_of(status: int, headers: Headers, *, now_s: float) -> Receipt:
    """The receipt for a 2xx; redirects are not followed, they are a no.

    `now_s` is wall time. Raises: DeliveryError (gone, overloaded, rejected) for everything else.
    """
    if 200 <= status < 300:
        return Receipt(status=status)
    code = f"http_{status}"
    if status == GONE:
        raise DeliveryError("gone", code=code, status=status)
    if status in OVERLOADED and (retry_after_s := _retry_after_s(headers, now_s)) is not None:
        raise DeliveryError("overloaded", code=code, status=status, retry_after_s=retry_after_s)
    raise DeliveryError("rejected", code=code, status=status)


def _retry_after_s(headers: Headers, now_s: float) -> float | None:
    """Seconds from now, at least 0; None when it is absent or unreadable."""
    text = next((value for name, value in headers if name.lower() == b"retry-after"), b"")
    given = text.decode("latin-1").strip()
    if _seconds.fullmatch(given):
        return min(float(given), LONGEST_RETRY_AFTER_S)
    try:
        at = parsedate_to_datetime(given)
        seconds = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now_s
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    return min(max(0.0, seconds), LONGEST_RETRY_AFTER_S) if math.isfinite(seconds) else None
