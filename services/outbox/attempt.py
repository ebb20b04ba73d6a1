"""One running attempt at a delivery: whether it may begin, and how it is stopped.

A stopped process must not wake up and send after its successor did: measured on the clock that goes on while the
machine sleeps, nothing begins near the end of the delivery's lease, and nothing lasts beyond it.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

from services.channels.contract import DeliveryError, Sending
from services.clock import boot_s
from services.jobs.cancellation import Cancellation
from services.jobs.deadline import Deadlines

TIMEOUT = "timeout"
MAY_NOT_START = "lease"


class Attempt(Sending):
    """The `Sending` of one attempt, used as a context manager. `ends` is the end of its lease by `clock`.

    `least_s` must be left of the lease when it begins; it may last `timeout_s`. `may_start` is asked right before
    the first byte; it must neither block nor raise.
    """

    def __init__(
        self,
        *,
        deadlines: Deadlines,
        ends: float,
        least_s: float,
        timeout_s: float,
        may_start: Callable[[], bool],
        clock: Callable[[], float] = boot_s,
    ) -> None:
        self._cancellation = Cancellation()
        self._ends, self._least_s, self._clock = ends, least_s, clock
        self._may_start = may_start
        self.is_started = False
        lasts_s = max(0.0, min(timeout_s, ends - clock()))
        self._disarm = deadlines.arm(lasts_s, lambda: self.cancel(TIMEOUT))

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._disarm()

    def cancel(self, reason: str) -> None:
        """Stop this attempt from any thread; the first reason stays. `reason` is a safe code."""
        self._cancellation.set(reason)

    @property
    def cancel_reason(self) -> str:
        """The reason of the first cancel, or empty."""
        return self._cancellation.reason

    def starting(self) -> None:
        """Refuse the first byte of an attempt that was stopped or whose lease is about to end."""
        left_s = self._ends - self._clock()
        if not self._cancellation.is_set() and not (left_s > self._least_s and self._may_start()):
            self._cancellation.set(MAY_NOT_START)
        if self._cancellation.is_set():
            raise DeliveryError("cancelled", code=self.cancel_reason)
        self.is_started = True

    def on_cancel(self, shut: Callable[[], None]) -> Callable[[], None]:
        """Run `shut` on cancel, at once if that is past; returns how to take it back."""
        return self._cancellation.add(shut)

    def is_cancelled(self) -> bool:
        """Whether this attempt was stopped, by whomever."""
        return self._cancellation.is_set()
