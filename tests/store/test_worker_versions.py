"""A worker that meets a stream of newer workers while it runs a job leaves the rest of the turn to them."""

from __future__ import annotations

import pytest

from services.jobs.claims import Claim
from services.jobs.outcome import Result, Settled
from services.jobs.worker import NEWER_DELAY_MS
from services.processors.advance import Held
from services.processors.contract import Contract
from services.streams.event import JobId, StreamId
from tests.fakes.puppet import CREATED, Puppet, Told, outcome_of, tell
from tests.fakes.store_stage import Stage
from tests.fakes.store_worker import Reports, worker_on

S = StreamId("s")
JOB = JobId("s@1")


class NewerPuppet(Puppet):
    """The next release's."""

    contract = Contract(
        name="puppet", version=2, consumes=Puppet.contract.consumes, emits=Puppet.contract.emits
    )


class Runner:
    """Answers at once."""

    def effect(self, held: Held) -> str:
        """None."""
        return ""

    def run(self, held: Held, claim: Claim) -> Result:
        """Settle."""
        return Settled((outcome_of(held.id),))


@pytest.fixture
def newer(stage: Stage) -> Stage:
    """A stage of the next release over the same store; it has folded the stream."""
    made = Stage(stage.url, stage.keys, processors=[NewerPuppet()])
    stage.log.append(S, [tell(Told(jobs=("llm:1",)))], create=CREATED)
    stage.hand().advancer.advance(S)
    stage.log.append(S, [tell(Told())])
    made.hand("newer").advancer.advance(S)
    return made


def test_what_follows_from_a_job_is_left_to_newer_workers(stage: Stage, newer: Stage) -> None:
    reports = Reports()

    worker_on(stage, stage.hand("older"), {"llm": Runner()}, reports).handle("llm", JOB)

    assert stage.types(S)[-1] == "llm.settled"
    assert reports.errors == []
    assert 0 < stage.due_ids("advance")[S] <= NEWER_DELAY_MS
    newer.close()
