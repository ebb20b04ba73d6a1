"""What happens to a job whose attempt did not end well: an ordered table, the first row that fits counts.

Pure. The same facts always give the same decision.
"""

from __future__ import annotations

import random
from typing import Literal

import msgspec

from services.jobs.claims import Claim

BUDGET = 3
DEATHS = 10
FIRST_BACKOFF_MS = 2_000
LONGEST_BACKOFF_MS = 30_000
LONGEST_RETRY_AFTER_S = 3_600.0
REPEATABLE = frozenset({"not_sent", "overloaded", "ambiguous", "truncated", "malformed"})

Recovery = Literal["run", "interrupt", "fail"]


class Verdict(msgspec.Struct, frozen=True):
    """What to do with a claim before anything runs; `reason` is a safe code."""

    recovery: Recovery
    reason: str = ""


def on_claim(claim: Claim, *, replayable: bool) -> Verdict:
    """Whether a claimed job may run. `replayable`: running it twice does no harm outside."""
    if claim.expired:
        return Verdict("fail", "expired")
    if claim.attempt > 1 and claim.prior and not replayable:
        return Verdict("interrupt", "effect_unknown")
    if claim.charged > BUDGET:
        return Verdict("fail", "attempts_exhausted")
    if claim.attempt > BUDGET + DEATHS:
        return Verdict("fail", "workers_died")
    return Verdict("run")


def backoff_ms(error: str, claim: Claim, retry_after_s: float | None, *, spent_ms: int = 0) -> int | None:
    """When to try again after `error`; None for never, also when the job would not live to see it.

    Equal jitter; a vendor's own wish counts exactly, up to an hour. `spent_ms` went by since the claim.
    """
    if error not in REPEATABLE or claim.charged >= BUDGET:
        return None
    if retry_after_s is not None:
        delay_ms = int(min(max(0.0, retry_after_s), LONGEST_RETRY_AFTER_S) * 1000)
    else:
        full = min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * (1 << (claim.charged - 1)))
        delay_ms = full // 2 + random.randrange(full // 2 + 1)
    if claim.expires_at and claim.now + spent_ms + delay_ms >= claim.expires_at:
        return None
    return delay_ms
