"""Hints that name the wrong kind, or what is long done: a worker loses nothing and runs nothing over them."""

from __future__ import annotations

import pytest

from services.jobs.claims import Claim
from services.jobs.outcome import Result, Settled
from services.jobs.worker import Worker
from services.processors.advance import Held
from services.streams.event import JobId, StreamId
from services.streams.keys import JOB_KINDS, JobKind
from tests.fakes.puppet import CREATED, Told, outcome_of, tell
from tests.fakes.store_stage import Hand, Stage
from tests.fakes.store_worker import Reports, worker_on

S = StreamId("s")
NAMES: dict[JobKind, str] = {"llm": "1", "tool": "2", "deliver": "x.1"}


class Runner:
    """Ends every job at once, and notes which ones it was given."""

    def __init__(self) -> None:
        self.ran: list[Held] = []

    def effect(self, held: Held) -> str:
        """None."""
        return ""

    def run(self, held: Held, claim: Claim) -> Result:
        """Settle."""
        self.ran.append(held)
        return Settled((outcome_of(held.id, held.kind),))


class Bench:
    """A stream that owes one job of every kind, and a worker that only does what it is hinted at."""

    def __init__(self, stage: Stage, hand: Hand) -> None:
        self.runner, self.reports = Runner(), Reports()
        runners = dict.fromkeys(JOB_KINDS, self.runner)
        self.worker: Worker = worker_on(stage, hand, runners, self.reports, shortcuts=False)
        jobs = tuple(f"{kind}:{name}" for kind, name in NAMES.items())
        stage.log.append(S, [tell(Told(jobs=jobs))], create=CREATED)
        hand.advancer.advance(S)


@pytest.fixture
def bench(stage: Stage) -> Bench:
    """A bench over the stage."""
    return Bench(stage, stage.hand())


def job(kind: JobKind) -> JobId:
    return JobId(f"s@{NAMES[kind]}")


def test_a_hint_to_an_outbox_that_is_not_due_takes_no_delivery_away(stage: Stage, bench: Bench) -> None:
    bench.worker.handle("deliver", S)
    assert stage.due_ids("deliver")[job("deliver")] <= 0

    bench.worker.handle("deliver", job("deliver"))

    assert [held.id for held in bench.runner.ran] == [job("deliver")]


@pytest.mark.parametrize("kind", JOB_KINDS)
def test_a_job_is_run_as_its_own_kind_only(stage: Stage, bench: Bench, kind: JobKind) -> None:
    before = stage.types(S)
    for other in JOB_KINDS:
        if other != kind:
            bench.worker.handle(other, job(kind))

    assert stage.types(S) == before
    assert not bench.runner.ran
    assert list(stage.due_ids(kind)) == [job(kind)]

    bench.worker.handle(kind, job(kind))

    assert [(held.kind, held.id) for held in bench.runner.ran] == [(kind, job(kind))]
    assert not bench.reports.errors
