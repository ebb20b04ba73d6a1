"""Decisions of the agent that are made of a few parts: asking for a tool, settling what is open."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.processors.agent.state import AgentState, Turn
from services.processors.contract import Decision, Emit, SettleJob, StartJob
from services.streams.event import EventInput, JobId
from services.streams.payload import Payload
from services.streams.vocabulary import ToolCall, ToolRequested, ToolSettled, TurnSettled, TurnStarted


def tool_call(turn: Turn, call: ToolCall, job: JobId, expires_ms: int) -> Sequence[Decision]:
    """Ask for a tool that the model wants to call."""
    asked = ToolRequested(turn=turn.n, job=job, call=call.id, name=call.name, arguments=call.arguments)
    return (
        emit("tool.requested", asked),
        StartJob(kind="tool", id=job, tool=call.name, expires_ms=expires_ms),
    )


def interrupted(turn: Turn) -> list[Decision]:
    """Settle every open tool call, so that the history stays sendable."""
    decisions: list[Decision] = []
    for job, attempt in turn.tools.items():
        effect = "effect unknown" if attempt else "never started"
        settled = ToolSettled(
            job=job, outcome="interrupted", result=f"interrupted: {effect}", error="interrupted"
        )
        decisions += [SettleJob(kind="tool", id=JobId(job), token=attempt), emit("tool.settled", settled)]
    return decisions


def begin_turn(state: AgentState, inputs: tuple[int, ...], debounced_ms: int = 0) -> Emit:
    """Begin the next turn, for `inputs`. It belongs to the trace of the first of them."""
    began = TurnStarted(turn=state.turns + 1, inputs=inputs, debounced_ms=debounced_ms)
    run = next((run for run in state.pending if run.first <= inputs[0] <= run.last), None)
    source = run or state.turn
    if source is None:
        return emit("turn.started", began)
    return emit("turn.started", began, trace=source.trace, baggage=source.baggage)


def end_turn(state: AgentState, turn: Turn, settled: TurnSettled) -> Emit:
    """End `turn`, in its own trace, whatever led to its end."""
    told = msgspec.structs.replace(
        settled,
        turn=turn.n,
        usage=turn.usage,
        trace_id=turn.trace[3:35],
        agent=state.agent,
        started_at=turn.began,
    )
    return emit("turn.settled", told, trace=turn.trace, baggage=turn.baggage)


def emit(type: str, payload: Payload, *, trace: str = "", baggage: str = "") -> Emit:
    """Append an event to the session; without a `trace` it belongs to that of what it follows from."""
    made = EventInput.of(type, payload, trace=trace or None)
    return Emit(msgspec.structs.replace(made, baggage=baggage) if trace and baggage else made)
