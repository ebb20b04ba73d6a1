"""Rate limits that GitHub told of: until they end, this process asks nothing in the same name.

Who goes on asking is limited for longer, and may be blocked.
Source: https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from services.channels.contract import DeliveryError

# Whoever was held back comes again at a moment of its own, so that they do not all come at once.
SPREAD_S = 3.0


class Limits:
    """Thread-safe. `wall_s` is epoch seconds; `spread` is from 0 to 1."""

    def __init__(self, wall_s: Callable[[], float], *, spread: Callable[[], float] = random.random) -> None:
        self._wall_s, self._spread = wall_s, spread
        self._lock = threading.Lock()
        self._until: dict[object, float] = {}

    def check(self, who: object) -> None:
        """Raises: DeliveryError (overloaded) while a limit on `who` lasts: nothing is sent."""
        with self._lock:
            left_s = self._until.get(who, 0.0) - self._wall_s()
            if left_s <= 0:
                self._until.pop(who, None)
                return
        wait_s = left_s + self._spread() * SPREAD_S
        raise DeliveryError("overloaded", code="limited", retry_after_s=wait_s, is_limit=True)

    def note(self, who: object, error: DeliveryError) -> None:
        """What GitHub answered `who`."""
        if error.kind != "overloaded" or not error.retry_after_s:
            return
        now = self._wall_s()
        with self._lock:
            self._until = {each: until for each, until in self._until.items() if until > now}
            self._until[who] = max(self._until.get(who, 0.0), now + error.retry_after_s)
