"""How long a method is left alone after Slack said it is called too often. In this process only.

Who is held back gets a moment of its own, so that a crowd does not come back at once, and none comes in vain again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from services.channels.contract import DeliveryError

# Between two calls of those that were held back.
SPACING_S = 0.2
# Slack may have room again long before: nobody waits for the end of a longer queue.
LONGEST_S = 300.0


class Holds:
    """Methods by name. Thread-safe."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._ends: dict[str, float] = {}
        self._last: dict[str, float] = {}

    def hold(self, method: str, seconds: float) -> None:
        """Slack wants `method` left alone for so long."""
        with self._lock:
            now = self._monotonic()
            self._ends[method] = max(self._ends.get(method, 0.0), now + seconds)
            self._last[method] = max(self._last.get(method, 0.0), self._ends[method])

    def check(self, method: str) -> None:
        """Raises: DeliveryError (overloaded, with a moment to come back) while `method` is held."""
        with self._lock:
            now = self._monotonic()
            ends = self._ends.get(method)
            if ends is None:
                return
            if now >= ends:
                del self._ends[method], self._last[method]
                return
            self._last[method] = min(self._last[method] + SPACING_S, ends + LONGEST_S)
            retry_after_s = self._last[method] - now
        raise DeliveryError("overloaded", code="held", retry_after_s=retry_after_s, is_limit=True)
