"""Which model the next attempt asks, and when."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.jobs.recovery import backoff_ms
from services.llm.failover import ATTEMPTS, FINAL, Failure, Step, next_step, retry_after_ms, step_at_claim

NOW = 1_000_000
JOB = "app:s@1"
FIRST, SECOND = backoff_ms(1, JOB), backoff_ms(2, JOB)
PASSING = ("overloaded", "not_sent", "ambiguous", "truncated", "malformed")


def failed(model: str, error: str = "overloaded", *, ago: int = 0, wish: int | None = None) -> Failure:
    return Failure(model=model, error=error, at=NOW - ago, retry_after_ms=wish)


def step(models: str, *failures: Failure) -> Step | None:
    return next_step(tuple(models), failures, now=NOW, job=JOB)


@pytest.mark.parametrize("error", PASSING)
def test_after_a_failure_the_next_model_is_asked_at_once(error: str) -> None:
    assert step("ab", failed("a", error)) == Step(model="b", at=NOW)


def test_once_all_have_failed_the_first_is_asked_again_after_a_while() -> None:
    assert step("ab", failed("a"), failed("b")) == Step(model="a", at=NOW + FIRST)
    assert step("ab", failed("a"), failed("b"), failed("a")) == Step(model="b", at=NOW)
    assert step("ab", *[failed(m) for m in "abab"]) == Step(model="a", at=NOW + SECOND)
    assert step("ab", *[failed(m) for m in "ababab"]) is None


@pytest.mark.parametrize("error", sorted(FINAL))
def test_a_model_that_refused_is_out(error: str) -> None:
    assert step("ab", failed("a", error)) == Step(model="b", at=NOW)
    assert step("ab", failed("a", error), failed("b")) == Step(model="b", at=NOW + FIRST)
    assert step("a", failed("a", error)) is None


def test_what_a_vendor_wishes_for_counts_exactly_and_for_its_model_alone() -> None:
    assert step("a", failed("a", wish=500)) == Step(model="a", at=NOW + 500)
    assert step("a", failed("a", wish=60_000)) == Step(model="a", at=NOW + 60_000)
    assert step("ab", failed("a", wish=60_000)) == Step(model="b", at=NOW)
    assert step("ab", failed("a", wish=60_000, ago=10), failed("b")) == Step(model="b", at=NOW + FIRST)
    assert step("ab", failed("a", wish=600, ago=100), failed("b")) == Step(model="a", at=NOW + 500)
    assert step("ab", failed("a", wish=50, ago=100), failed("b")) == Step(model="a", at=NOW)


def test_a_request_that_is_too_long_is_asked_once_more_with_half_of_the_history() -> None:
    too_long = failed("a", "context_too_long")
    assert step("ab", too_long) == Step(model="a", at=NOW, halved=True)
    assert step("ab", too_long, failed("a")) == Step(model="b", at=NOW)
    assert step("ab", too_long, failed("a"), failed("b"), failed("b")) == Step(
        model="a", at=NOW + SECOND, halved=True
    )
    assert step("ab", too_long, too_long) == Step(model="b", at=NOW)
    assert step("a", too_long, too_long) is None


def test_models_that_are_no_longer_configured_count_for_nothing() -> None:
    assert step("bc", failed("a"), failed("a")) == Step(model="b", at=NOW)
    assert step("", failed("a")) is None


@pytest.mark.parametrize(
    ("wish_s", "ms"),
    [
        (None, None),
        (1.5, 1_500),
        (0, 0),
        (-3, 0),
        (86_400, 86_400_000),
        (math.inf, 604_800_000),
        (math.nan, None),
    ],
)
def test_a_wish_is_a_time_of_at_most_a_week(wish_s: float | None, ms: int | None) -> None:
    assert retry_after_ms(wish_s) == ms


Ends = st.lists(
    st.tuples(
        st.sampled_from([*PASSING, *sorted(FINAL), "context_too_long"]),
        st.one_of(st.none(), st.integers(0, 100_000)),
        st.integers(0, 5_000),
        st.integers(0, 2_000),
    ),
    min_size=40,
    max_size=40,
)


@given(models=st.lists(st.sampled_from("abcd"), min_size=1, max_size=4), ends=Ends)
def test_every_job_comes_to_an_end_and_keeps_to_the_rules(
    models: Sequence[str], ends: Sequence[tuple[str, int | None, int, int]]
) -> None:
    now, failures = NOW, list[Failure]()
    for error, wish, took, later in ends:
        chosen = step_at_claim(models, failures, now=now, job=JOB)
        if chosen is None:
            break
        # Who claims the job finds what was decided when the last attempt failed.
        assert chosen.at <= now
        of = [each for each in failures if each.model == chosen.model]
        assert len(of) < ATTEMPTS
        assert not FINAL & {each.error for each in of}
        assert sum(each.error == "context_too_long" for each in of) == int(chosen.halved)
        if of and of[-1].retry_after_ms is not None and of[-1].error != "context_too_long":
            assert now >= of[-1].at + of[-1].retry_after_ms
        now += took
        failure = Failure(model=chosen.model, error=error, at=now, retry_after_ms=wish)
        decided = next_step(models, [*failures, failure], now=now, job=JOB)
        # The event that tells of it is a little younger than the decision, and the wait counts from there.
        failures.append(msgspec.structs.replace(failure, at=now + later))
        now = now + later + (decided.at - now if decided else 0)
    assert step_at_claim(models, failures, now=now, job=JOB) is None
    assert len(failures) <= ATTEMPTS * len(set(models))
