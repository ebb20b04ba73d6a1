"""One running attempt at a delivery: whether it may begin, and how it is stopped.

A stopped process must not wake up and send after its successor did: measured on the clock that goes on while the
machine sleeps, nothing begins near the end of the delivery's lease, and nothing lasts beyond it.
"""

from __future__ import annotations

from collections.abc import Callable

from services.channels.contract import DeliveryError, Sending
from services.clock import boot_s
from services.jobs.attempt import RunningAttempt
from services.jobs.deadline import Deadlines

TIMEOUT = "timeout"
MAY_NOT_START = "lease"


class Attempt(RunningAttempt, Sending):
    """The `Sending` of one attempt. `ends` is the end of its lease by `clock`.

    `least_s` must be left of the lease when it begins; it may last `timeout_s`. `may_start` is asked right before
    the first byte; it must neither block nor raise. `is_looking`: what an earlier attempt did is not known yet.
    """

    is_looking = False

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
        lasts_s = max(0.0, min(timeout_s, ends - clock()))
        super().__init__(deadlines=deadlines, lasts_s=lasts_s, timeout=TIMEOUT)
        self._ends, self._least_s, self._clock = ends, least_s, clock
        self._may_start = may_start

    @property
    def is_doubtful(self) -> bool:
        """Whether the other side may have the letter: from this attempt, or from one whose end is still looked for."""
        return self.is_started or self.is_looking

    def _refusal(self) -> str:
        has_time = self._ends - self._clock() > self._least_s
        return "" if has_time and self._may_start() else MAY_NOT_START

    def _stopped(self) -> DeliveryError:
        return DeliveryError("cancelled", code=self.cancel_reason)
