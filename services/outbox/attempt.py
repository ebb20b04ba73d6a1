"""One running attempt at a delivery: whether it may begin, and how it is stopped.

A stopped process must not wake up and send after its successor did: measured on the clock that goes on while the
machine sleeps, nothing begins near the end of the delivery's lease, and nothing lasts beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from services.channels.contract import DeliveryError, Sending
from services.clock import boot_s
from services.jobs.attempt import RunningAttempt
from services.jobs.claims import Claim
from services.jobs.deadline import Deadlines
from services.jobs.running import Running
from services.processors.advance import Held

TIMEOUT = "timeout"
MAY_NOT_START = "lease"


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """`lease_s`: how long a claim is leased; `least_s` of it must be left when the first byte leaves.

    `timeout_s` bounds an attempt, `attempts` how many are made.
    """

    lease_s: float = 60.0
    least_s: float = 20.0
    timeout_s: float = 15.0
    attempts: int = 15


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


class Attempts:
    """Makes attempts under `terms`, and has them stopped with all that is `running` in this process.

    `may_start`: is the process's own lease alive?
    """

    def __init__(
        self,
        running: Running,
        terms: Terms,
        *,
        may_start: Callable[[], bool],
        clock: Callable[[], float] = boot_s,
    ) -> None:
        self._running, self._terms, self._may_start, self._clock = running, terms, may_start, clock
        self._deadlines = Deadlines()

    @contextmanager
    def of(self, held: Held, claim: Claim) -> Iterator[Attempt]:
        """The attempt at a claimed job, which may be stopped as long as this lasts."""
        attempt = Attempt(
            deadlines=self._deadlines,
            ends=claim.asked + self._terms.lease_s,
            least_s=self._terms.least_s,
            timeout_s=self._terms.timeout_s,
            may_start=self._may_start,
            clock=self._clock,
        )
        self._running.add(held, attempt)
        try:
            yield attempt
        finally:
            self._running.remove(held)
