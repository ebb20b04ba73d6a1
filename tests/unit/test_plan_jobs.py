"""Jobs that a commit would start and end at once: read together, decided together."""

from __future__ import annotations

from collections.abc import Sequence

from services.processors.agent.processor import Agent
from services.processors.agent.rules import Rules
from services.processors.breaker import Breaker
from services.processors.contract import StartJob
from services.processors.plan import Claimer, Plan, Reading, claim_nothing
from services.processors.planning import plan
from services.streams.event import Event, EventInput, StreamId
from services.streams.payload import Payload
from services.streams.vocabulary import (
    InputReceived,
    JobStarted,
    LLMSettled,
    StreamCreated,
    ToolCall,
    TurnStarted,
)

STREAM = StreamId("app:both")
ASKED = ("input.received", InputReceived(text="first"))
STEERED = ("input.received", InputReceived(text="second", policy="steer"))
CREATED = ("stream.created", StreamCreated(source="app"))


def read_at_once(*said: tuple[str, Payload], claimer: Claimer = claim_nothing) -> tuple[Plan, list[Event]]:
    """The plan that follows from events nobody has read yet, and what the log would then hold."""
    events = [EventInput.of(type, payload).at(n, 1000) for n, (type, payload) in enumerate(said, 1)]
    drawn = plan(reading(events), [Agent(lambda name: Rules())], claimer)
    made = [one.at(len(events) + n, 1000) for n, one in enumerate(drawn.events, 1)]
    return drawn, [*events, *made]


def reading(events: Sequence[Event]) -> Reading:
    """A stream without a checkpoint."""
    return Reading(
        stream=STREAM, at=0, own=(0, 0), rows={}, states={}, events=events, lagging={}, now_ms=1000
    )


def claim_all(job: StartJob) -> JobStarted:
    """A worker with free slots."""
    return JobStarted(job=job.id, attempt=1, incarnation="host-1-2-3", effect="write")


def test_a_request_that_is_steered_before_it_was_committed_is_never_owed() -> None:
    drawn, log = read_at_once(CREATED, ASKED, STEERED)

    assert drawn.settles == []
    assert [job.id for job in drawn.jobs] == [f"{STREAM}@2"]
    turns = [event.decode(TurnStarted).inputs for event in log if event.type == "turn.started"]
    assert turns == [(2,), (2, 3)]


def test_a_request_that_is_cancelled_before_it_was_committed_leaves_a_settled_turn_and_no_job() -> None:
    drawn, log = read_at_once(CREATED, ASKED, ("turn.cancel_requested", Payload()))

    assert (drawn.settles, drawn.jobs) == ([], [])
    assert [event.type for event in log][-2:] == ["llm.settled", "turn.settled"]


def test_tool_calls_that_are_steered_before_they_were_committed_are_neither_owed_nor_claimed() -> None:
    first, log = read_at_once(CREATED, ASKED)
    calls = tuple(ToolCall(id=f"c{n}", name="append_note") for n in range(2))
    answer = LLMSettled(job=first.jobs[0].id, outcome="succeeded", tool_calls=calls)
    unread = [
        EventInput.of(type, payload).at(len(log) + n, 2000)
        for n, (type, payload) in enumerate((("llm.settled", answer), STEERED), 1)
    ]

    drawn = plan(reading([*log, *unread]), [Agent(lambda name: Rules())], claim_all)

    assert drawn.settles == []
    assert not any(job.kind == "tool" for job in drawn.jobs)
    assert set(drawn.claimed) <= {job.id for job in drawn.jobs}
    assert sum(one.type == "tool.settled" for one in drawn.events) == 2


def test_a_commit_that_pauses_its_stream_starts_no_job_even_one_decided_before() -> None:
    events = [
        EventInput.of(type, payload).at(n, 1000) for n, (type, payload) in enumerate((CREATED, ASKED), 1)
    ]
    agent, breaker = Agent(lambda name: Rules()), Breaker(per_minute=1, burst=0)

    drawn = plan(reading(events), [agent, breaker], claim_all)

    assert drawn.pause == "circuit_breaker"
    assert drawn.claimed == {}
    assert [type(job) for job in drawn.jobs] == [StartJob]
    assert "llm.started" not in [one.type for one in drawn.events]
    assert read_at_once(CREATED, ASKED, claimer=claim_all)[0].claimed
