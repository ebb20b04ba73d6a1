"""How an attempt that did not come to its end is made again: what is to be waited for, and what that costs."""

from __future__ import annotations

from services.channels.contract import DeliveryError
from services.errors import Overloaded, StreamPaused
from services.jobs.claims import Claim
from services.jobs.outcome import Again
from services.outbox.attempt import TIMEOUT
from services.outbox.backoff import delay_ms

PAUSED_S = 5.0


def again(error: StreamPaused | Overloaded | DeliveryError, claim: Claim, *, stopped: str) -> Again:
    """What is to be waited for. Only what somebody else has to mend costs an attempt.

    `stopped` says why the attempt was stopped: who answers too slowly has to mend that.
    """
    match error:
        case StreamPaused():
            return Again(error="paused", delay_ms=int(PAUSED_S * 1000), waits=True)
        case Overloaded():
            return Again(error=error.reason, delay_ms=int(error.retry_after_s * 1000), waits=True)
        case DeliveryError():
            is_ours = error.kind == "cancelled" and stopped != TIMEOUT
            code = TIMEOUT if stopped == TIMEOUT else error.code or error.kind
            wait_ms = 0 if is_ours else delay_ms(claim.charged, error.retry_after_s)
            return Again(error=code, delay_ms=wait_ms, free=is_ours, waits=error.is_limit)
