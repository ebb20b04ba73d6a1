"""Decisions of the agent that are made of a few parts: asking for a tool, settling what is open."""

from __future__ import annotations

from collections.abc import Sequence

from services.processors.agent.state import Turn
from services.processors.contract import Decision, Emit, SettleJob, StartJob
from services.streams.event import EventInput, JobId
from services.streams.vocabulary import Payload, ToolCall, ToolRequested, ToolSettled


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


def emit(type: str, payload: Payload) -> Emit:
    """Append an event to the session."""
    return Emit(EventInput.of(type, payload))
