"""Which model the next attempt at a request asks, and when: derived from the attempts that failed so far.

Pure: the same failures always give the same step, whoever works it out, so nothing of it is stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from services.jobs.recovery import backoff_ms

ATTEMPTS = 3
# As long as the longest life of a job.
LONGEST_RETRY_AFTER_S = 604_800.0
# Repeating the same request to the same model is useless.
FINAL = frozenset({"rejected", "quota", "no_such_model"})
TOO_LONG = "context_too_long"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that failed, at `at` (epoch ms); `retry_after_ms` is what its vendor wished for then."""

    model: str
    error: str
    at: int
    retry_after_ms: int | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """Ask `model` at `at` (epoch ms), `halved`: with half of the history."""

    model: str
    at: int
    halved: bool = False


def next_step(models: Sequence[str], failures: Sequence[Failure], *, now: int, job: str) -> Step | None:
    """The next attempt of `job`; None when every model is out or used up.

    A model is asked at most three times. Those that failed less often than the one that failed last are asked at
    once, the others after a while. What a vendor wished for counts exactly, for its model alone. Of those that
    can be asked first the one with the fewest failures is, then the first of the list.
    """
    asked = dict.fromkeys(models)
    failed = {model: [each for each in failures if each.model == model] for model in asked}
    left = [model for model in asked if not _is_out(failed[model])]
    if not left:
        return None
    if failures and (same := failures[-1].model) in left and failures[-1].error == TOO_LONG:
        return Step(model=same, at=now, halved=True)
    reached = sum(each.model == failures[-1].model for each in failures) if failures else 0
    steps = [
        Step(model=model, at=_ready_at(failed[model], reached, now, job), halved=_was_too_long(failed[model]))
        for model in left
    ]
    return min(steps, key=lambda step: (step.at, len(failed[step.model])))


def step_at_claim(models: Sequence[str], failures: Sequence[Failure], *, now: int, job: str) -> Step | None:
    """The attempt that a claim at `now` is for: what was decided when the last one failed.

    Its `at` is later than `now` where the models changed meanwhile and those left can not be asked yet.
    """
    return next_step(models, failures, now=failures[-1].at if failures else now, job=job)


def retry_after_ms(wish_s: float | None) -> int | None:
    """What a vendor wished for, in milliseconds; None for none, and for what is no time."""
    if wish_s is None or math.isnan(wish_s):
        return None
    return round(min(max(0.0, wish_s), LONGEST_RETRY_AFTER_S) * 1000)


def _is_out(failed: Sequence[Failure]) -> bool:
    too_long = sum(each.error == TOO_LONG for each in failed)
    return len(failed) >= ATTEMPTS or too_long > 1 or any(each.error in FINAL for each in failed)


def _was_too_long(failed: Sequence[Failure]) -> bool:
    return any(each.error == TOO_LONG for each in failed)


def _ready_at(failed: Sequence[Failure], reached: int, now: int, job: str) -> int:
    if failed and (wish := failed[-1].retry_after_ms) is not None:
        return max(now, failed[-1].at + wish)
    if len(failed) < reached or not failed:
        return now
    return now + backoff_ms(len(failed), job)
