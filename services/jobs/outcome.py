"""How a run of a job ended, as its runner tells the worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from services.jobs.claims import Claim
from services.processors.advance import Held
from services.streams.event import EventInput
from services.streams.vocabulary import LLMSettled, ReplySettled, ToolSettled


class Settled(msgspec.Struct, frozen=True):
    """The job has its outcome: `events`, the settlement last."""

    events: tuple[EventInput, ...]


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """No outcome; the job is due again after `delay_ms`. A `free` attempt costs nothing; one that `waits` only had to,
    however often, for a limit or a pause.

    `extra` are more fields of the event that records it.
    """

    error: str
    delay_ms: int = 0
    free: bool = False
    waits: bool = False
    extra: Mapping[str, object] = {}


class Lost(msgspec.Struct, frozen=True):
    """Somebody else has the job now, or nobody needs it: say nothing."""


Result = Settled | Again | Lost


class Runner(Protocol):
    """Runs jobs of one kind."""

    def effect(self, held: Held) -> str:
        """The effect an attempt declares when it starts, empty for none."""

    def run(self, held: Held, claim: Claim) -> Result:
        """Run one attempt to its end. Raises: Unavailable when the store went away meanwhile."""


def too_large(held: Held, outcome: EventInput) -> Settled:
    """The failure of a job whose own `outcome` is more than an event can hold. What it cost is kept."""
    if held.kind == "llm":
        paid = msgspec.json.decode(outcome.payload, type=LLMSettled)
        failed = msgspec.structs.replace(
            paid, outcome="failed", error="answer_too_large", text="", tool_calls=()
        )
        return Settled((EventInput.of("llm.settled", failed),))
    if held.kind == "deliver":
        return Settled((EventInput.of("reply.failed", ReplySettled(job=held.id, error="too_large")),))
    told = "failed: the result was too large to be kept"
    settled = ToolSettled(job=held.id, outcome="failed", result=told, error="result_too_large")
    return Settled((EventInput.of("tool.settled", settled),))
