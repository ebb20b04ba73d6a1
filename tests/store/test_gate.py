"""Pausing and resuming: inputs wait outside, jobs are parked and come back with the time they had left."""

from __future__ import annotations

import pytest

from services.errors import NotFound
from services.streams.event import EventInput, JobId, StreamId
from services.streams.log import Gated
from services.streams.vocabulary import StreamPaused, StreamResumed
from tests.fakes.puppet import CREATED, Ending, Told, outcome_of, tell
from tests.fakes.store_stage import Hand, Stage

S = StreamId("s")
JOB = JobId("s@1")
HOUR_MS = 3_600_000


def pause(stage: Stage) -> Gated:
    return stage.log.gate(S, EventInput.of("stream.paused", StreamPaused(reason="lunch")), paused="lunch")


def resume(stage: Stage) -> Gated:
    return stage.log.gate(S, EventInput.of("stream.resumed", StreamResumed()), paused=None)


@pytest.fixture
def hand(stage: Stage) -> Hand:
    """A worker, and a job that is due."""
    made = stage.hand()
    stage.log.append(S, [tell(Told(jobs=("llm:1",)))], create=CREATED)
    made.advancer.advance(S)
    return made


def test_a_pause_is_an_event_and_so_is_its_end(stage: Stage) -> None:
    stage.log.append(S, [tell()], create=CREATED)

    assert pause(stage).changed
    assert stage.log.load(S).paused == "lunch"
    assert resume(stage).changed
    assert stage.log.load(S).paused is None
    assert stage.types(S)[2:] == ["stream.paused", "stream.resumed"]


def test_pausing_or_resuming_twice_changes_nothing(stage: Stage) -> None:
    stage.log.append(S, [tell()], create=CREATED)

    assert not resume(stage).changed
    pause(stage)
    assert not pause(stage).changed
    assert stage.types(S).count("stream.paused") == 1


def test_a_stream_that_is_not_there_can_not_be_paused(stage: Stage) -> None:
    with pytest.raises(NotFound):
        pause(stage)


def test_a_paused_stream_starts_no_job_and_parks_it(stage: Stage, hand: Hand) -> None:
    pause(stage)

    assert hand.claims.claim("llm", JOB) is None
    assert stage.due_ids("llm") == {}
    assert "llm.started" not in stage.types(S)


def test_parked_jobs_are_due_at_once_when_the_stream_goes_on(stage: Stage, hand: Hand) -> None:
    pause(stage)
    hand.claims.claim("llm", JOB)

    resume(stage)

    assert stage.due_ids("llm")[JOB] <= 0
    assert hand.claims.claim("llm", JOB) is not None


def test_the_clock_of_a_parked_job_stands_still(stage: Stage, hand: Hand) -> None:
    stage.pass_time(HOUR_MS - 60_000)
    pause(stage)
    hand.renew(born=True)
    hand = stage.hand("second")
    hand.claims.claim("llm", JOB)

    stage.pass_time(10 * HOUR_MS)
    hand = stage.hand("third")
    hand.claims.claim("llm", JOB)
    stage.pass_time(10 * HOUR_MS)
    resume(stage)
    _, claim = stage.hand("fourth").take_job("llm", JOB)

    assert not claim.expired


def test_a_job_that_waited_too_long_before_the_pause_is_expired_after_it(stage: Stage, hand: Hand) -> None:
    stage.pass_time(HOUR_MS + 1)
    pause(stage)
    stage.hand("second").claims.claim("llm", JOB)
    resume(stage)

    _, claim = stage.hand("third").take_job("llm", JOB)

    assert claim.expired


def test_a_job_claimed_before_the_pause_may_settle_during_it(stage: Stage, hand: Hand) -> None:
    held, _ = hand.take_job("llm", JOB)
    pause(stage)

    outcome = outcome_of(JOB)
    assert hand.advancer.settle(held, [outcome], hand.advancer.stand(S)) is not None


def test_a_parked_job_that_a_commit_settles_never_comes_back(stage: Stage, hand: Hand) -> None:
    pause(stage)
    hand.claims.claim("llm", JOB)
    stage.log.append(S, [tell(Told(settle=(Ending("llm", "1", 0),)))])
    hand.advancer.advance(S)

    resume(stage)

    assert stage.due_ids("llm") == {}


def test_a_commit_of_a_paused_stream_starts_its_jobs_after_the_pause(stage: Stage, hand: Hand) -> None:
    stage.log.append(S, [tell(Told(jobs=("tool:2",)))])
    pause(stage)

    advanced = hand.advancer.advance(S, hand.claimer())

    assert advanced.claimed == ()
    assert hand.claims.claim("tool", JobId("s@2")) is None
    resume(stage)
    assert set(stage.due_ids("tool")) == {"s@2"}


def test_a_pause_decided_by_a_processor_counts_like_one_by_a_person(stage: Stage, hand: Hand) -> None:
    stage.log.append(S, [tell(Told(pause="enough"))])

    hand.advancer.advance(S)

    assert stage.log.load(S).paused == "enough"
    assert hand.claims.claim("llm", JOB) is None
