"""Running one LLM job: which model is asked, with which history, and what the end of the attempt means.

The attempt itself is made by `attempt`; which model is next is derived from the log by `failover`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from services.errors import ConfigurationError
from services.faults import Faults
from services.jobs.claims import Claim, Claims
from services.jobs.outcome import Again, Lost, Result, Settled
from services.jobs.recovery import on_claim
from services.jobs.requests import find_attempts
from services.jobs.running import Running
from services.jobs.traces import RunSpans, enter_turn
from services.llm.answer import Answer
from services.llm.attempt import TOO_LARGE, TOO_MANY_CALLS, Attempts, Ended
from services.llm.call import MAY_NOT_START
from services.llm.deltas import Deltas
from services.llm.failover import ATTEMPTS, TOO_LONG, Failure, Step, next_step, retry_after_ms, step_at_claim
from services.llm.history import History, build, halve
from services.llm.prices import Prices
from services.llm.provider import ChatRequest, Provider, ToolSpec
from services.llm.registry import ProviderRegistry
from services.llm.spans import ChatSpans
from services.processors.advance import Held
from services.streams.event import EventInput
from services.streams.log import Log
from services.streams.near import NearPast
from services.streams.payload import Payload
from services.streams.vocabulary import AttemptEnded, AttemptFacts, HistoryWindowed, LLMRequested, LLMSettled

NO_SUCH_MODEL = "no_such_model"
NOTHING_TO_CUT = "nothing_to_cut"


class Persona(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says about an agent, as far as a request needs it. `models` are in failover order."""

    system: str
    models: tuple[str, ...]
    tools: tuple[ToolSpec, ...]
    idle_s: float
    wall_s: float


class _Task(msgspec.Struct, frozen=True, kw_only=True):
    """One claimed request: what was asked, of whom, and what failed before."""

    held: Held
    claim: Claim
    asked: LLMRequested
    persona: Persona
    failures: tuple[Failure, ...]
    past: NearPast


class LLMRunner:
    """Runs LLM jobs in this process. `personas` gives an agent's persona by name."""

    def __init__(
        self,
        log: Log,
        claims: Claims,
        running: Running,
        providers: ProviderRegistry,
        personas: Callable[[str], Persona],
        *,
        prices: Prices,
        may_start: Callable[[], bool],
        faults: Faults,
        spans: ChatSpans | None = None,
    ) -> None:
        self._log, self._claims = log, claims
        self._providers, self._personas = providers, personas
        self._faults = faults
        self._attempts = Attempts(
            claims, running, prices, may_start=may_start, faults=faults, spans=spans or ChatSpans(RunSpans())
        )

    def effect(self, held: Held) -> str:
        """LLM requests have no effect outside but their price."""
        return ""

    def run(self, held: Held, claim: Claim) -> Result:
        """Run one attempt. Raises: Unavailable when the store is gone."""
        self._faults.at("llm.claimed")
        past = NearPast(self._log, claim.near)
        found = find_attempts(
            past, held.stream, held.id, "llm.requested", LLMRequested, ended="llm.attempt_failed"
        )
        asked = found.asked
        enter_turn(found.trace, held.stream, asked.turn)
        persona = self._personas(asked.agent)
        verdict = on_claim(claim, replayable=True, budget=ATTEMPTS * len(persona.models))
        if verdict.recovery != "run":
            return _settled(LLMSettled(job=held.id, outcome="failed", error=verdict.reason))
        task = _Task(
            held=held, claim=claim, asked=asked, persona=persona, failures=_failures(found.ended), past=past
        )
        step = step_at_claim(persona.models, task.failures, now=claim.now, job=held.id)
        if step is None:
            error = task.failures[-1].error if task.failures else "attempts_exhausted"
            return _settled(LLMSettled(job=held.id, outcome="failed", error=error))
        if step.at > claim.now:
            return Again(error="models_changed", delay_ms=step.at - claim.now, free=True)
        return self._attempt(task, step)

    def _attempt(self, task: _Task, step: Step) -> Result:
        try:
            provider, model = self._providers.resolve(step.model)
        except ConfigurationError:
            return self._unsent(task, step, NO_SUCH_MODEL)
        history = build(task.past, task.held.stream, task.asked, provider.context_tokens)
        if history.is_empty:
            return _settled(LLMSettled(job=task.held.id, outcome="cancelled", error="withdrawn"))
        if step.halved:
            half = halve(task.past, task.held.stream, task.asked, history)
            if half is None:
                return self._unsent(task, step, TOO_LONG, code=NOTHING_TO_CUT)
            history = half
        ended = self._ask(task, step, provider, model, history)
        return self._judge(task, ended, history)

    def _ask(self, task: _Task, step: Step, provider: Provider, model: str, history: History) -> Ended:
        held, persona = task.held, task.persona
        request = ChatRequest(
            model=model,
            system=persona.system,
            messages=history.messages,
            tools=persona.tools,
            session=held.stream,
            job=held.id,
            idle_s=persona.idle_s,
            wall_s=persona.wall_s,
        )
        ended = self._attempts.run(
            held, task.claim, request, model=step.model, provider=provider, answer=self._answer(task, model)
        )
        return msgspec.structs.replace(ended, facts=msgspec.structs.replace(ended.facts, halved=step.halved))

    def _answer(self, task: _Task, model: str) -> Answer:
        channel = self._log.keys.tail_channel(task.held.stream)
        return Answer(model, Deltas(self._log.store, channel, task.held.id, task.claim.attempt))

    def _unsent(self, task: _Task, step: Step, kind: str, *, code: str = "") -> Result:
        """An attempt that ended before there was anything to send."""
        facts = AttemptFacts(phase="unsent", code=code, halved=step.halved)
        ended = Ended(model=step.model, kind=kind, answer=self._answer(task, ""), facts=facts)
        return self._failed(task, ended)

    def _judge(self, task: _Task, ended: Ended, history: History) -> Result:
        match ended.kind:
            case "succeeded":
                self._faults.at("llm.answered")
                return _settled(_outcome(task, ended, "succeeded"), history)
            case "cancelled":
                return self._stopped(task, ended)
            case kind if kind in (TOO_LARGE, TOO_MANY_CALLS):
                # Asked again, it would be paid for again and be as large.
                return _settled(_outcome(task, ended, "failed", kind))
            case _:
                return self._failed(task, ended)

    def _failed(self, task: _Task, ended: Ended) -> Result:
        """On to the next attempt, unless every model is used up or the job would not live to see it."""
        self._faults.at("llm.failed")
        claim = task.claim
        now = claim.now + ended.facts.spent_ms
        wish_ms = retry_after_ms(ended.retry_after_s)
        failure = Failure(model=ended.model, error=ended.kind, at=now, retry_after_ms=wish_ms)
        step = next_step(task.persona.models, [*task.failures, failure], now=now, job=task.held.id)
        if step is None or (claim.expires_at and step.at >= claim.expires_at):
            return _settled(_outcome(task, ended, "failed", ended.kind))
        extra = _extra(ended) | ({} if wish_ms is None else {"retry_after_ms": wish_ms})
        return Again(error=ended.kind, delay_ms=step.at - now, extra=extra)

    def _stopped(self, task: _Task, ended: Ended) -> Result:
        held, reason = task.held, ended.facts.code
        if reason == MAY_NOT_START:
            row = self._claims.look([held.id])[held.id]
            if row is None or row.token != held.token or row.state != "started":
                return Lost()
            reason = "cancelled" if row.cancel else "lease"
        if reason in ("deploy", "lease"):
            return Again(error=reason, free=True, extra=_extra(ended))
        # Of one that was taken away, the settlement is refused: what it had cost by then is noted as late.
        return _settled(_outcome(task, ended, "cancelled", reason))


def _failures(ended: Sequence[tuple[int, AttemptEnded]]) -> tuple[Failure, ...]:
    """The attempts that count: not those that were cut short, or that no model had a part in."""
    return tuple(
        Failure(model=each.model, error=each.error, at=at, retry_after_ms=each.retry_after_ms)
        for at, each in ended
        if each.model and not each.free
    )


def _outcome(
    task: _Task, ended: Ended, outcome: Literal["succeeded", "failed", "cancelled"], error: str = ""
) -> LLMSettled:
    return ended.answer.settled(task.held.id, outcome, asked=ended.model, facts=ended.facts, error=error)


def _extra(ended: Ended) -> dict[str, object]:
    facts: dict[str, object] = msgspec.to_builtins(ended.facts)
    return {"model": ended.model, **facts}


def _settled(outcome: LLMSettled, history: History | None = None) -> Settled:
    events: list[EventInput] = []
    if history is not None and history.first_turn > 1:
        events.append(
            _event("history.windowed", HistoryWindowed(job=outcome.job, first_turn=history.first_turn))
        )
    return Settled((*events, _event("llm.settled", outcome)))


def _event(type: str, payload: Payload) -> EventInput:
    return EventInput.of(type, payload)
