"""The span of one tool call, by the GenAI conventions."""

from __future__ import annotations

from services.jobs.claims import Claim
from services.jobs.traces import RunSpans
from services.processors.advance import Held
from services.streams.vocabulary import ToolRequested
from services.telemetry import conventions as names
from services.telemetry.content import words_as
from services.telemetry.otel import Content
from services.telemetry.tracer import Attribute, Span
from services.tools.runner import ToolOutcome

CALL_ID_LIMIT = 200


class ToolSpans:
    """Makes the spans of tool calls; `content` says what of the words may be told."""

    def __init__(self, spans: RunSpans, content: Content = "none") -> None:
        self._spans, self._content = spans, content

    def begin(self, held: Held, claim: Claim, asked: ToolRequested, tool: str) -> Span:
        """A call begins; `tool` is its name, `unknown` for one that the model made up."""
        facts: dict[str, Attribute] = {
            names.OPERATION: names.EXECUTE_TOOL,
            names.CONVERSATION_ID: held.stream,
            names.TOOL_NAME: tool,
            names.TOOL_TYPE: "function",
            names.TOOL_CALL_ID: asked.call[:CALL_ID_LIMIT],
        }
        if self._content != "none":
            facts[names.TOOL_ARGUMENTS] = words_as(self._content, asked.arguments)
        return self._spans.begin(f"{names.EXECUTE_TOOL} {tool}", held, claim, attributes=facts)

    def ended(self, span: Span, outcome: ToolOutcome) -> None:
        """How it went."""
        self._spans.counters.add("turnwright_tool_calls_total", outcome.outcome)
        span.set({names.OUTCOME: outcome.outcome})
        if self._content != "none":
            span.set({names.TOOL_RESULT: words_as(self._content, outcome.result)})
        if outcome.error:
            span.fail(outcome.error)
