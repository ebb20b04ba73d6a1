"""Running one tool job: find the call in the log, run the tool, settle with what the model is told."""

from __future__ import annotations

from collections.abc import Callable

from services.errors import NotFound
from services.faults import Faults
from services.jobs.claims import Claim
from services.jobs.outcome import Again, Lost, Result, Settled
from services.jobs.recovery import on_claim
from services.jobs.requests import Found, find_attempts, find_request
from services.jobs.running import Running
from services.jobs.traces import RunSpans, enter_turn
from services.processors.advance import Held
from services.streams.event import EventInput
from services.streams.log import Log
from services.streams.vocabulary import LLMRequested, ToolRequested, ToolSettled
from services.telemetry.tracer import within
from services.tools.contract import ToolCall
from services.tools.registry import Allowed, ToolRegistry
from services.tools.runner import ToolRunner, fault
from services.tools.spans import ToolSpans


class ToolJobs:
    """Runs tool jobs in this process. `allowed` gives the tools of an agent by name.

    `may_start` is asked right before a tool runs: a process that stood still past its lease must not act.
    """

    def __init__(
        self,
        log: Log,
        running: Running,
        registry: ToolRegistry,
        *,
        allowed: Callable[[str], Allowed],
        may_start: Callable[[], bool],
        faults: Faults,
        spans: ToolSpans | None = None,
    ) -> None:
        self._log, self._running, self._registry = log, running, registry
        self._spans = spans or ToolSpans(RunSpans())
        self._allowed, self._may_start, self._faults = allowed, may_start, faults
        self.runner = ToolRunner(registry)

    def effect_of(self, tool: str) -> str:
        """The declared effect of a tool; an unknown one is treated as the worst."""
        try:
            return self._registry.get(tool).effect
        except NotFound:
            return "unknown"

    def effect(self, held: Held) -> str:
        """The effect that `tool.started` records."""
        return self.effect_of(self._found(held).asked.name)

    def run(self, held: Held, claim: Claim) -> Result:
        """Run one call. A call that may have had an effect is never run again."""
        self._faults.at("tool.claimed")
        found = self._found(held)
        asked = found.asked
        enter_turn(found.trace, held.stream, asked.turn)
        replayable = claim.prior == "read_only"
        verdict = on_claim(claim, replayable=replayable)
        if verdict.recovery == "interrupt":
            return _settled(
                held, "interrupted", "interrupted: whether it took effect is unknown", verdict.reason
            )
        if verdict.recovery == "fail":
            return _settled(held, "failed", fault(verdict.reason), verdict.reason)
        call = ToolCall(session=held.stream, call=asked.call)
        allowed = self._allowed(self._agent(held))
        self._running.add(held, call)
        try:
            if not self._may_start():
                return Lost()
            with within(
                self._spans.begin(held, claim, asked, self._known(asked.name)), held.stream, lets_in=True
            ) as span:
                outcome = self.runner.run(asked.name, asked.arguments, call, allowed)
                self._spans.ended(span, outcome)
        finally:
            self._running.remove(held)
        self._faults.at("tool.ran")
        if outcome.outcome == "interrupted":
            reason = call.cancel_reason
            if reason == "taken":
                return Lost()
            if reason == "deploy" and self.effect_of(asked.name) == "read_only":
                return Again(error="deploy", free=True)
        return _settled(held, outcome.outcome, outcome.result, outcome.error)

    def _agent(self, held: Held) -> str:
        request = held.id.rpartition(".")[0]
        return find_request(self._log, held.stream, request, "llm.requested", LLMRequested).agent

    def _known(self, name: str) -> str:
        """The tool's name as far as it is one of ours: a model may call anything."""
        try:
            return self._registry.get(name).name
        except NotFound:
            return "unknown"

    def _found(self, held: Held) -> Found[ToolRequested]:
        return find_attempts(self._log, held.stream, held.id, "tool.requested", ToolRequested)


def _settled(held: Held, outcome: str, result: str, error: str) -> Settled:
    match outcome:
        case "succeeded":
            settled = ToolSettled(job=held.id, outcome="succeeded", result=result)
        case "interrupted":
            settled = ToolSettled(job=held.id, outcome="interrupted", result=result, error=error)
        case _:
            settled = ToolSettled(job=held.id, outcome="failed", result=result, error=error)
    return Settled((EventInput.of("tool.settled", settled),))
