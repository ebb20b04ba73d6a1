"""Running one LLM job: from the log to a request, through a provider, to a settlement.

Publishes token deltas while somebody reads. Decides by `jobs.recovery` what a bad end means.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from services.errors import ConfigurationError, TurnwrightError
from services.faults import Faults
from services.jobs.claims import Claim, Claims
from services.jobs.deadline import Deadlines
from services.jobs.outcome import Again, Lost, Result, Settled
from services.jobs.recovery import backoff_ms, on_claim
from services.jobs.requests import find_request
from services.jobs.running import Running
from services.llm.call import MAY_NOT_START, RunningCall, stream_run
from services.llm.history import History, build
from services.llm.provider import (
    ChatRequest,
    Finished,
    ProviderError,
    TextDelta,
    TokenUsage,
    ToolCallRequest,
    ToolSpec,
)
from services.llm.registry import ProviderRegistry
from services.processors.advance import Held
from services.streams.event import EventInput, JobId
from services.streams.log import Log
from services.streams.store import Store, translated
from services.streams.tail import Delta
from services.streams.vocabulary import (
    HistoryWindowed,
    LLMRequested,
    LLMSettled,
    Payload,
    ToolCall,
    Usage,
)

DELTA_S = 0.25
# Each is two events of one commit, which holds 128.
MOST_TOOL_CALLS = 50
# Of text and tool calls together, as the log stores them: far below what an event may hold.
ANSWER_LIMIT = 4 * 1024 * 1024
MODEL_LIMIT = 200
TOO_LARGE = "answer_too_large"
LOOK_FOR_READERS_S = 1.0


class Persona(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says about an agent, as far as a request needs it."""

    system: str
    model: str
    tools: tuple[ToolSpec, ...]
    idle_s: float
    wall_s: float


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
        may_start: Callable[[], bool],
        faults: Faults,
    ) -> None:
        self._log, self._claims, self._running = log, claims, running
        self._providers, self._personas = providers, personas
        self._may_start, self._faults = may_start, faults
        self._deadlines = Deadlines()

    def effect(self, held: Held) -> str:
        """LLM requests have no effect outside but their price."""
        return ""

    def run(self, held: Held, claim: Claim) -> Result:
        """Run one attempt. Raises: Unavailable when the store is gone."""
        self._faults.at("llm.claimed")
        verdict = on_claim(claim, replayable=True)
        if verdict.recovery != "run":
            return _settled(LLMSettled(job=held.id, outcome="failed", error=verdict.reason))
        asked = find_request(self._log, held.stream, held.id, "llm.requested", LLMRequested)
        persona = self._personas(asked.agent)
        try:
            provider, model = self._providers.resolve(persona.model)
        except ConfigurationError:
            return _settled(LLMSettled(job=held.id, outcome="failed", error="no_such_model"))
        history = build(self._log, held.stream, asked, provider.context_tokens)
        if history.is_empty:
            return _settled(LLMSettled(job=held.id, outcome="cancelled", error="withdrawn"))
        request = _request(held, persona, model, history)
        answer = _Answer(
            held.id, model, _Deltas(self._log.store, self._log.keys.tail_channel(held.stream), claim)
        )
        call = RunningCall(
            deadlines=self._deadlines, wall_s=persona.wall_s, may_start=lambda: self._may(held)
        )
        self._running.add(held, call)
        try:
            with call:
                for piece in stream_run(provider, request, call):
                    answer.add(piece)
                    if answer.is_too_large:
                        call.cancel(TOO_LARGE)
                    self._faults.at("llm.streaming")
        except ProviderError as error:
            return self._judge(held, claim, call, answer, error)
        finally:
            self._running.remove(held)
            answer.deltas.flush()
        self._faults.at("llm.answered")
        if answer.is_too_large:
            return _settled(answer.settled("failed", TOO_LARGE))
        if answer.calls > MOST_TOOL_CALLS:
            return _settled(answer.settled("failed", "too_many_tool_calls"))
        return _settled(answer.settled("succeeded"), history)

    def _may(self, held: Held) -> bool:
        """Asked right before the first byte: is the lease alive, and does the job still want us?"""
        try:
            return self._may_start() and self._claims.is_ours(held)
        except TurnwrightError:
            return False

    def _judge(
        self, held: Held, claim: Claim, call: RunningCall, answer: _Answer, error: ProviderError
    ) -> Result:
        if error.kind == "cancelled":
            return self._stopped(held, call.cancel_reason, answer)
        delay_ms = backoff_ms(error.kind, claim, error.retry_after_s, spent_ms=answer.spent_ms)
        if delay_ms is not None:
            return Again(error=error.kind, delay_ms=delay_ms)
        return _settled(answer.settled("failed", error.kind))

    def _stopped(self, held: Held, reason: str, answer: _Answer) -> Result:
        if reason == MAY_NOT_START:
            row = self._claims.look([held.id])[held.id]
            if row is None or row.token != held.token or row.state != "started":
                return Lost()
            reason = "cancelled" if row.cancel else "lease"
        if reason == "taken":
            return Lost()
        if reason in ("deploy", "lease"):
            return Again(error=reason, free=True)
        if reason == TOO_LARGE:
            return _settled(answer.settled("failed", reason))
        return _settled(answer.settled("cancelled", reason))


def _request(held: Held, persona: Persona, model: str, history: History) -> ChatRequest:
    return ChatRequest(
        model=model,
        system=persona.system,
        messages=history.messages,
        tools=persona.tools,
        session=held.stream,
        job=held.id,
        idle_s=persona.idle_s,
        wall_s=persona.wall_s,
    )


class _Answer:
    """What came so far. What is over the limit is not kept."""

    def __init__(self, job: JobId, model: str, deltas: _Deltas) -> None:
        self.job, self.model, self.deltas = job, model, deltas
        self._texts: list[str] = []
        self._calls: list[ToolCall] = []
        self._usage = Usage()
        self._room = ANSWER_LIMIT
        self._began = time.monotonic()

    def add(self, piece: TextDelta | ToolCallRequest | TokenUsage | Finished) -> None:
        match piece:
            case TextDelta(text):
                if self._fits(text):
                    self._texts.append(text)
                    self.deltas.add(self.job, text)
            case ToolCallRequest():
                call = ToolCall(id=piece.id, name=piece.name, arguments=piece.arguments)
                if self._fits(call):
                    self._calls.append(call)
            case TokenUsage():
                self._usage = Usage(
                    input=piece.input, output=piece.output, cached=piece.cached, reasoning=piece.reasoning
                )
            case Finished():
                self.model = piece.model[:MODEL_LIMIT] or self.model

    def _fits(self, part: str | ToolCall) -> bool:
        self._room -= len(msgspec.json.encode(part))
        return not self.is_too_large

    @property
    def is_too_large(self) -> bool:
        """Whether more came than is kept."""
        return self._room < 0

    @property
    def spent_ms(self) -> int:
        """How long the attempt has taken."""
        return int((time.monotonic() - self._began) * 1000)

    @property
    def calls(self) -> int:
        """How many tools the model wants to call."""
        return len(self._calls)

    def settled(self, outcome: str, error: str = "") -> LLMSettled:
        match outcome:
            case "succeeded":
                return LLMSettled(
                    job=self.job,
                    outcome="succeeded",
                    text="".join(self._texts),
                    tool_calls=tuple(self._calls),
                    usage=self._usage,
                    model=self.model,
                )
            case _:
                return LLMSettled(
                    job=self.job,
                    outcome="cancelled" if outcome == "cancelled" else "failed",
                    text="".join(self._texts),
                    usage=self._usage,
                    model=self.model,
                    error=error,
                )


class _Deltas:
    """Token deltas, merged to a few a second, published only while somebody reads. Losing them is fine."""

    def __init__(self, store: Store, channel: str, claim: Claim) -> None:
        self._store, self._channel, self._attempt = store, channel, claim.attempt
        self._parts: list[str] = []
        self._job = JobId("")
        self._sent = self._looked = time.monotonic()
        self._has_readers = False
        self._asked = False
        self._seq = 0

    def add(self, job: JobId, text: str) -> None:
        self._job = job
        self._parts.append(text)
        if time.monotonic() - self._sent >= DELTA_S:
            self.flush()

    def flush(self) -> None:
        self._sent = time.monotonic()
        if not self._parts:
            return
        try:
            if self._read_by_somebody():
                self._seq += 1
                delta = Delta(job=self._job, attempt=self._attempt, seq=self._seq, text="".join(self._parts))
                with translated():
                    self._store.client.publish(self._channel, msgspec.json.encode(delta))
        except TurnwrightError:
            self._has_readers = False
        self._parts = []

    def _read_by_somebody(self) -> bool:
        now = time.monotonic()
        if not self._asked or now - self._looked > LOOK_FOR_READERS_S:
            self._asked, self._looked = True, now
            with translated():
                counts = self._store.client.pubsub_numsub(self._channel)
            self._has_readers = bool(counts and counts[0][1])
        return self._has_readers


def _settled(outcome: LLMSettled, history: History | None = None) -> Settled:
    events: list[EventInput] = []
    if history is not None and history.first_turn > 1:
        events.append(
            _event("history.windowed", HistoryWindowed(job=outcome.job, first_turn=history.first_turn))
        )
    return Settled((*events, _event("llm.settled", outcome)))


def _event(type: str, payload: Payload) -> EventInput:
    return EventInput.of(type, payload)
