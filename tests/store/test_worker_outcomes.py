"""A worker whose runner comes with more than the log can hold."""

from __future__ import annotations

import pytest

from services.errors import TooLarge
from services.jobs.claims import Claim
from services.jobs.outcome import Result, Settled
from services.processors.advance import Held
from services.streams.blobs import BODY_LIMIT
from services.streams.event import EventInput, JobId, StreamId
from services.streams.keys import JobKind
from services.streams.vocabulary import LLMSettled, ToolSettled, Usage
from tests.fakes.puppet import CREATED, Told, tell
from tests.fakes.store_stage import Stage
from tests.fakes.store_worker import Reports, worker_on

S = StreamId("s")
PAID = Usage(input=9, output=9, cost_microusd=1)


class Verbose:
    """Comes with too much, each time it is asked."""

    def __init__(self) -> None:
        self.runs = 0

    def effect(self, held: Held) -> str:
        """None."""
        return ""

    def run(self, held: Held, claim: Claim) -> Result:
        """Settle with too much."""
        self.runs += 1
        much = LLMSettled(job=held.id, outcome="succeeded", text="x" * (BODY_LIMIT + 1), usage=PAID)
        return Settled((EventInput.of(f"{held.kind}.settled", much),))


@pytest.mark.parametrize(
    ("kind", "shape", "error"),
    [("llm", LLMSettled, "answer_too_large"), ("tool", ToolSettled, "result_too_large")],
)
def test_an_outcome_that_can_not_be_stored_ends_its_job_as_failed(
    stage: Stage, kind: JobKind, shape: type[LLMSettled | ToolSettled], error: str
) -> None:
    stage.log.append(S, [tell(Told(jobs=(f"{kind}:1",)))], create=CREATED)
    hand, verbose, reports = stage.hand(), Verbose(), Reports()
    hand.advancer.advance(S)
    worker = worker_on(stage, hand, {kind: verbose}, reports)

    worker.handle(kind, JobId("s@1"))

    [settled] = [e.decode(shape) for e in stage.events(S) if e.type == f"{kind}.settled"]
    assert (settled.outcome, settled.error, verbose.runs) == ("failed", error, 1)
    assert isinstance(settled, ToolSettled) or settled.usage == PAID
    assert stage.due.sizes()[kind] == 0
    assert [type(each) for each in reports.errors] == [TooLarge]
