"""A tool runs only in the name of a lease that lives."""

from __future__ import annotations

import pytest

from services.faults import Faults
from services.jobs.claims import Claim
from services.jobs.outcome import Lost, Settled
from services.jobs.running import Running
from services.processors.advance import Held
from services.streams.event import EventInput, JobId, StreamId
from services.streams.vocabulary import LLMRequested, StreamCreated, ToolRequested
from services.tools.contract import ToolCall, tool
from services.tools.jobs import ToolJobs
from services.tools.registry import ToolRegistry
from tests.fakes.store_stage import Stage

STREAM = StreamId("app:tools")
JOB = JobId(f"{STREAM}@1.0")
CLAIM = Claim(token=1, attempt=1, charged=1, prior="", expired=False, since=0, due=0, now=0, offset=0)


@pytest.mark.parametrize(("is_alive", "runs"), [(True, 1), (False, 0)], ids=["alive", "over"])
def test_a_tool_is_not_run_once_the_lease_is_over(stage: Stage, is_alive: bool, runs: int) -> None:
    ran: list[str] = []

    @tool(effect="write", timeout_s=5)
    def note(call: ToolCall) -> str:
        """Note that it ran."""
        ran.append(call.call)
        return "noted"

    stage.log.append(
        STREAM,
        [
            EventInput.of(
                "llm.requested", LLMRequested(turn=1, job=f"{STREAM}@1", step=1, inputs=(2,), upto=2)
            ),
            EventInput.of(
                "tool.requested", ToolRequested(turn=1, job=JOB, call="c1", name="note", arguments="{}")
            ),
        ],
        create=EventInput.of("stream.created", StreamCreated()),
    )
    hand = stage.hand()
    jobs = ToolJobs(
        stage.log,
        Running(stage.store, hand.claims, stage.keys.cancel_channel, notices=False),
        ToolRegistry([note]),
        allowed=lambda agent: None,
        may_start=lambda: is_alive,
        faults=Faults(None),
    )

    result = jobs.run(Held(kind="tool", id=JOB, stream=STREAM, token=1), CLAIM)

    assert isinstance(result, Settled if is_alive else Lost)
    assert len(ran) == runs
