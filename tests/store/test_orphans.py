"""A job that is held by a living worker but in nobody's hand is given back; one in hand never is."""

from __future__ import annotations

from collections.abc import Callable, Set

import pytest

from services.jobs.claims import Claims, JobRow
from services.jobs.errands import Errands
from services.jobs.orphans import Orphans
from services.jobs.slots import Slots
from services.jobs.wake import Wake
from services.processors.advance import Held
from services.streams.event import JobId, StreamId
from services.streams.vocabulary import AttemptEnded
from tests.fakes.puppet import CREATED, Told, outcome_of, tell
from tests.fakes.store_stage import Hand, NoHints, Stage

S = StreamId("s")
JOB = JobId("s@1")


@pytest.fixture
def hand(stage: Stage) -> Hand:
    """A worker, and a job that is due."""
    made = stage.hand()
    stage.log.append(S, [tell(Told(jobs=("llm:1",)))], create=CREATED)
    made.advancer.advance(S)
    return made


def orphans(stage: Stage, hand: Hand, in_hand: Set[JobId] = frozenset()) -> Orphans:
    wake = Wake(stage.keys, NoHints(), enabled=False)
    return Orphans(stage.store, stage.keys, hand.claims, wake, in_hand=lambda: in_hand, incarnation=hand.name)


def test_a_held_job_in_nobodys_hand_is_due_again_at_no_cost(stage: Stage, hand: Hand) -> None:
    hand.take_job("llm", JOB)

    assert orphans(stage, hand).look() == [JOB]

    [ended] = [e.decode(AttemptEnded) for e in stage.events(S) if e.type == "llm.attempt_failed"]
    assert (ended.error, ended.free) == ("orphaned", True)
    _, again = hand.take_job("llm", JOB)
    assert (again.attempt, again.charged) == (2, 1)


def test_a_job_in_hand_stays(stage: Stage, hand: Hand) -> None:
    held, _ = hand.take_job("llm", JOB)

    assert orphans(stage, hand, {JOB}).look() == []

    assert hand.advancer.settle(held, [outcome_of(JOB)], None) is not None


def test_what_is_left_of_a_claim_on_a_job_that_others_ended_goes(stage: Stage, hand: Hand) -> None:
    hand.take_job("llm", JOB)
    stage.log.append(S, [tell(Told(end=("llm:1",)))])
    stage.hand("other").advancer.advance(S)
    assert stage.due.sizes()["llm"] == 1

    orphans(stage, hand).look()

    assert stage.due.sizes()["llm"] == 0
    assert stage.types(S).count("llm.attempt_failed") == 0


class OvertakenClaims(Claims):
    """Something happens right before the jobs are looked at."""

    before: Callable[[], object]

    def look(self, jobs: list[JobId]) -> dict[JobId, JobRow | None]:
        """See `Claims.look`."""
        self.before()
        return super().look(jobs)


def test_what_another_worker_claimed_meanwhile_stays_with_it(stage: Stage, hand: Hand) -> None:
    hand.take_job("llm", JOB)
    other = stage.hand("other")
    taken: list[Held] = []

    def taken_over() -> None:
        stage.relay.reap(stage.keys.shard(S), hand.name, proven=True)
        taken.append(other.take_job("llm", JOB)[0])

    hand.claims = OvertakenClaims(stage.log, hand.name)
    hand.claims.before = taken_over
    orphans(stage, hand).look()

    assert other.advancer.settle(taken[0], [outcome_of(JOB)], None) is not None
    assert stage.types(S).count("llm.attempt_failed") == 0


def test_a_job_claimed_anew_meanwhile_stays_held(stage: Stage, hand: Hand) -> None:
    held, _ = hand.take_job("llm", JOB)

    def claimed_anew() -> None:
        hand.claims.release(held, error="overloaded")
        hand.take_job("llm", JOB)

    with stage.between("release", claimed_anew):
        orphans(stage, hand).look()

    assert stage.due.sizes()["llm"] == 1
    assert orphans(stage, hand).look() == [JOB]


def test_a_thread_has_its_jobs_in_hand_from_before_the_claim_to_its_end() -> None:
    slots = Slots(10)
    errands = Errands(slots)
    errand = errands.begin()
    assert errand.reserve(JOB, "llm")
    assert errand.reserve(JobId("s@2"), "llm")
    assert errands.in_hand() == {JOB, JobId("s@2")}
    assert slots.free == slots.capacity - 1

    errand.close()

    assert errands.in_hand() == frozenset()
    assert slots.free == slots.capacity


def test_without_a_free_slot_nothing_is_in_hand() -> None:
    errands = Errands(Slots(9))
    assert errands.begin().reserve(JOB, "llm")

    assert not errands.begin().reserve(JobId("s@2"), "llm")

    assert errands.in_hand() == {JOB}
