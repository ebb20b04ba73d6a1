"""When a delivery is tried again. Pure but for the jitter."""

from __future__ import annotations

import random

FIRST_MS = 1_000
LONGEST_MS = 3_600_000
LONGEST_RETRY_AFTER_S = 86_400.0


def delay_ms(attempts: int, retry_after_s: float | None) -> int:
    """How long to wait after the `attempts`-th charged attempt failed.

    Doubles from a second to an hour, with a jitter down to the half; what the receiver asks for counts exactly,
    up to a day.
    """
    if retry_after_s is not None:
        return int(min(max(0.0, retry_after_s), LONGEST_RETRY_AFTER_S) * 1000)
    full = min(LONGEST_MS, FIRST_MS << min(attempts - 1, 20))
    return full // 2 + random.randrange(full // 2 + 1)
