"""What a chain of requests has in common: whom it is for, who may stop it, and when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable

from services.channels.contract import DeliveryError, Sending
from services.outgoing.watch import Stoppable, Watch


class Within:
    """Everything a caller waits for, at most `timeout_s` seconds in all. Without `sending` nobody stops it."""

    def __init__(self, timeout_s: float, sending: Sending | None = None) -> None:
        self._sending = sending or _Nobody()
        self._quiet = _Quiet(self._sending)
        self._ends = time.monotonic() + timeout_s

    def quietly(self) -> Within:
        """The same for requests that are no part of a letter, even when they change something."""
        same = Within(0, self._quiet)
        same._ends = self._ends
        return same

    def watch(self, *, is_write: bool) -> Watch:
        """The hold of one request. Only one that changes something asks whether it may start."""
        whom: Stoppable = self._sending if is_write else self._quiet
        return Watch(whom, ends=self._ends)

    def left_s(self) -> float:
        """Seconds, 0 at the end."""
        return max(0.0, self._ends - time.monotonic())

    def is_cancelled(self) -> bool:
        """Whether somebody stopped it."""
        return self._sending.is_cancelled()

    def go_on(self) -> None:
        """Raises: DeliveryError (cancelled) when somebody stopped it."""
        if self._sending.is_cancelled():
            raise DeliveryError("cancelled")


class _Quiet:
    """What is asked before or after a letter is no part of it."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self.on_cancel, self.is_cancelled = sending.on_cancel, sending.is_cancelled

    def starting(self) -> None:
        if self._sending.is_cancelled():
            raise DeliveryError("cancelled")


class _Nobody:
    def starting(self) -> None:
        return None

    def on_cancel(self, shut: Callable[[], None]) -> Callable[[], None]:
        return self.starting

    def is_cancelled(self) -> bool:
        return False
