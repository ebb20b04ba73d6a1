"""Asking outside for no delivery: nobody waits for it, no lease bounds it, and it can be ended at any time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from services.channels.contract import DeliveryError, Sending


class Brief(Sending):
    """The `Sending` of whatever one thread asks, one call after the other; all end together."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._shut: Callable[[], None] | None = None
        self._lock = threading.Lock()

    def cancel(self) -> None:
        """End what is going on, and whatever would begin."""
        self._cancelled.set()
        with self._lock:
            if self._shut is not None:
                self._shut()

    def starting(self) -> None:
        """See `Sending`."""
        if self._cancelled.is_set():
            raise DeliveryError("cancelled", code="stopping")

    def on_cancel(self, shut: Callable[[], None]) -> Callable[[], None]:
        """See `Sending`."""
        with self._lock:
            self._shut = shut
            if self._cancelled.is_set():
                shut()

        def take_back() -> None:
            with self._lock:
                self._shut = None

        return take_back

    def is_cancelled(self) -> bool:
        """See `Sending`."""
        return self._cancelled.is_set()
