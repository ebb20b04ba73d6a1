"""What a bad end means for a job."""

from __future__ import annotations

import msgspec
import pytest

from services.jobs.claims import Claim
from services.jobs.recovery import DEATHS, backoff_ms, on_claim

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


@pytest.mark.parametrize(
    ("failures", "full"), [(1, 2_000), (2, 4_000), (4, 16_000), (5, 30_000), (99, 30_000)]
)
def test_the_wait_grows_and_differs_between_jobs_and_never_within_one(failures: int, full: int) -> None:
    waits = [backoff_ms(failures, f"app:s@{n}") for n in range(50)]

    assert all(full // 2 <= wait <= full for wait in waits)
    assert len(set(waits)) > 10
    assert waits == [backoff_ms(failures, f"app:s@{n}") for n in range(50)]


@pytest.mark.parametrize("budget", [3, 6])
def test_a_job_runs_as_often_as_its_budget_says_and_deaths_cost_nothing_of_it(budget: int) -> None:
    def verdict(*, charged: int, deaths: int) -> str:
        claim = msgspec.structs.replace(CLAIM, attempt=charged + deaths, charged=charged)
        return on_claim(claim, replayable=True, budget=budget).reason

    assert verdict(charged=budget, deaths=0) == ""
    assert verdict(charged=budget, deaths=DEATHS) == ""
    assert verdict(charged=1, deaths=budget + DEATHS) == "workers_died"
    assert verdict(charged=budget + 1, deaths=0) == "attempts_exhausted"
