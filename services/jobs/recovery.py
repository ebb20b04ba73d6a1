"""What happens to a job whose attempt did not end well: an ordered table, the first row that fits counts.

Pure. The same facts always give the same decision.
"""

from __future__ import annotations

import zlib
from typing import Literal

import msgspec

from services.jobs.claims import Claim

BUDGET = 3
DEATHS = 10
FIRST_BACKOFF_MS = 2_000
LONGEST_BACKOFF_MS = 30_000

Recovery = Literal["run", "interrupt", "fail"]


class Verdict(msgspec.Struct, frozen=True):
    """What to do with a claim before anything runs; `reason` is a safe code."""

    recovery: Recovery
    reason: str = ""


def on_claim(claim: Claim, *, replayable: bool, budget: int = BUDGET) -> Verdict:
    """Whether a claimed job may run. `replayable`: running it twice does no harm outside."""
    if claim.expired:
        return Verdict("fail", "expired")
    if claim.attempt > 1 and claim.prior and not replayable:
        return Verdict("interrupt", "effect_unknown")
    if claim.charged > budget:
        return Verdict("fail", "attempts_exhausted")
    if claim.attempt > budget + DEATHS:
        return Verdict("fail", "workers_died")
    return Verdict("run")


def backoff_ms(failures: int, job: str) -> int:
    """The wait after so many failures: 2 s, 4 s and so on up to 30 s, the upper half of it by chance.

    The chance is of the job and the number, so that everybody who works it out comes to the same wait.
    """
    full = min(LONGEST_BACKOFF_MS, FIRST_BACKOFF_MS * (1 << min(failures - 1, 10)))
    return full // 2 + zlib.crc32(f"{job}#{failures}".encode()) % (full // 2 + 1)
