"""What a bad end means for a job."""

from __future__ import annotations

import math

import msgspec
import pytest

from services.jobs.claims import Claim
from services.jobs.recovery import BUDGET, backoff_ms

HOUR_MS = 3_600_000
CLAIM = Claim(
    token=1,
    attempt=1,
    charged=1,
    prior="",
    expired=False,
    since=1_000,
    due=1_000,
    now=1_000,
    offset=1,
    expires_at=61_000,
)
ENDLESS = msgspec.structs.replace(CLAIM, expires_at=0)


@pytest.mark.parametrize(
    ("asked_s", "delay_ms"),
    [(1.5, 1_500), (0, 0), (-3, 0), (86_400, HOUR_MS), (1e300, HOUR_MS), (math.inf, HOUR_MS), (math.nan, 0)],
)
def test_a_vendors_wish_counts_up_to_an_hour(asked_s: float, delay_ms: int) -> None:
    assert backoff_ms("overloaded", ENDLESS, asked_s) == delay_ms


@pytest.mark.parametrize(("spent_ms", "delay_ms"), [(0, 30_000), (29_999, 30_000), (30_000, None)])
def test_a_job_that_would_expire_before_its_next_attempt_has_none(
    spent_ms: int, delay_ms: int | None
) -> None:
    assert backoff_ms("overloaded", CLAIM, 30, spent_ms=spent_ms) == delay_ms


def test_without_a_wish_the_wait_grows_and_jitters() -> None:
    for charged, full in ((1, 2_000), (2, 4_000)):
        claim = msgspec.structs.replace(CLAIM, charged=charged)
        delays = {backoff_ms("not_sent", claim, None) for _ in range(50)}
        assert all(delay is not None and full // 2 <= delay <= full for delay in delays)
        assert len(delays) > 1


def test_only_what_may_pass_is_tried_again_and_only_within_the_budget() -> None:
    assert backoff_ms("rejected", CLAIM, 1) is None
    assert backoff_ms("overloaded", msgspec.structs.replace(CLAIM, charged=BUDGET), 1) is None
