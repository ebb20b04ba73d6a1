"""The span of one attempt at a model, by the GenAI conventions."""

from __future__ import annotations

from services.jobs.claims import Claim
from services.jobs.traces import RunSpans
from services.llm.answer import Answer
from services.llm.provider import ChatMessage, ChatRequest
from services.processors.advance import Held
from services.streams.vocabulary import AttemptFacts, Usage
from services.telemetry import conventions as names
from services.telemetry.content import Message, Part, messages_as
from services.telemetry.otel import Content
from services.telemetry.tracer import Attribute, Span


class ChatSpans:
    """Makes the spans of attempts; `content` says what of the words may be told."""

    def __init__(self, spans: RunSpans, content: Content = "none") -> None:
        self._spans, self._content = spans, content

    def begin(self, held: Held, claim: Claim, model: str, request: ChatRequest) -> Span:
        """An attempt begins; `model` is `<provider>:<model>` as configured, or a provider with only one."""
        provider, _, named = model.partition(":")
        facts: dict[str, Attribute] = {
            names.OPERATION: names.CHAT,
            names.CONVERSATION_ID: held.stream,
            names.PROVIDER: provider,
            names.REQUEST_MODEL: named or provider,
            names.REQUEST_STREAM: True,
        }
        if self._content != "none":
            system = Message(role="system", parts=[Part(words=request.system)])
            facts[names.SYSTEM_INSTRUCTIONS] = messages_as(self._content, [system])
            facts[names.INPUT_MESSAGES] = messages_as(self._content, [_told(one) for one in request.messages])
        name = f"{names.CHAT} {named or provider}"
        return self._spans.begin(name, held, claim, kind="client", attributes=facts)

    def ended(self, span: Span, kind: str, answer: Answer, facts: AttemptFacts, *, model: str) -> None:
        """How it went; `kind` is `succeeded` or a safe code, `model` the one asked."""
        usage = facts.usage
        self._count(model, kind, usage)
        told: dict[str, Attribute] = {
            names.INPUT_TOKENS: usage.input,
            names.OUTPUT_TOKENS: usage.output,
        }
        told |= {name: n for name, n in _details(usage) if n}
        if answer.model:
            told[names.RESPONSE_MODEL] = answer.model
        if usage.cost_microusd is not None:
            told[names.COST_USD] = usage.cost_microusd / 1_000_000
        if facts.first_ms >= 0:
            told[names.FIRST_CHUNK_S] = facts.first_ms / 1000
        if answer.finish_reason:
            told[names.FINISH_REASONS] = (answer.finish_reason,)
        if self._content != "none":
            told[names.OUTPUT_MESSAGES] = messages_as(self._content, [_answered(answer)])
        span.set(told)
        if kind != "succeeded":
            span.fail(kind)

    def _count(self, model: str, kind: str, usage: Usage) -> None:
        add = self._spans.counters.add
        add("turnwright_llm_attempts_total", model, kind)
        tokens = {
            "input": usage.input,
            "output": usage.output,
            "cached": usage.cached,
            "cache_write": usage.cache_write,
            "reasoning": usage.reasoning,
        }
        for of, n in tokens.items():
            add("turnwright_tokens_total", model, of, by=n)
        add("turnwright_cost_usd_total", model, by=usage.cost_microusd or 0)


def _details(usage: Usage) -> tuple[tuple[str, int], ...]:
    """What many vendors never tell."""
    return (
        (names.CACHED_TOKENS, usage.cached),
        (names.CACHE_WRITE_TOKENS, usage.cache_write),
        (names.REASONING_TOKENS, usage.reasoning),
    )


def _told(message: ChatMessage) -> Message:
    if message.role == "tool":
        part = Part(type="tool_call_response", id=message.call_id, words=message.text)
        return Message(role="tool", parts=[part])
    calls = [
        Part(type="tool_call", id=call.id, name=call.name, words=call.arguments)
        for call in message.tool_calls
    ]
    return Message(role=message.role, parts=[*([Part(words=message.text)] if message.text else []), *calls])


def _answered(answer: Answer) -> Message:
    calls = [
        Part(type="tool_call", id=call.id, name=call.name, words=call.arguments) for call in answer.tool_calls
    ]
    text = answer.text
    return Message(role="assistant", parts=[*([Part(words=text)] if text else []), *calls])
