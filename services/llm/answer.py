"""What a model has answered so far, and the settlement that becomes of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from services.llm.deltas import Deltas
from services.llm.provider import Finished, Piece, TextDelta, TokenUsage, ToolCallRequest
from services.streams.event import JobId
from services.streams.vocabulary import AttemptFacts, LLMSettled, ToolCall, Usage

# Each is two events of one commit, which holds 128.
MOST_TOOL_CALLS = 50
# Of text and tool calls together, as the log stores them: far below what an event may hold.
ANSWER_LIMIT = 4 * 1024 * 1024
MODEL_LIMIT = 200


class Answer:
    """The pieces of one attempt, put together. What is over the limit is not kept.

    `model` is the one that answers, as its vendor calls it.
    """

    def __init__(self, model: str, deltas: Deltas) -> None:
        self.model, self.deltas = model, deltas
        self.usage = Usage()
        self.has_begun = False
        self.finish_reason = ""
        self._texts: list[str] = []
        self._calls: list[ToolCall] = []
        self._room = ANSWER_LIMIT

    def add(self, piece: Piece) -> None:
        """One more piece. Counts of tokens alone do not begin an answer."""
        match piece:
            case TextDelta(text):
                self.has_begun = True
                if self._fits(text):
                    self._texts.append(text)
                    self.deltas.add(text)
            case ToolCallRequest():
                self.has_begun = True
                call = ToolCall(id=piece.id, name=piece.name, arguments=piece.arguments)
                if self._fits(call):
                    self._calls.append(call)
            case TokenUsage():
                self.usage = Usage(
                    input=max(0, piece.input),
                    output=max(0, piece.output),
                    cached=max(0, piece.cached),
                    cache_write=max(0, piece.cache_write),
                    reasoning=max(0, piece.reasoning),
                )
            case Finished():
                self.has_begun = True
                self.model = piece.model[:MODEL_LIMIT] or self.model
                self.finish_reason = piece.reason

    def _fits(self, part: str | ToolCall) -> bool:
        self._room -= len(msgspec.json.encode(part))
        return not self.is_too_large

    @property
    def text(self) -> str:
        """What was kept of the words."""
        return "".join(self._texts)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """What was kept of the calls."""
        return tuple(self._calls)

    @property
    def is_too_large(self) -> bool:
        """Whether more came than is kept."""
        return self._room < 0

    @property
    def has_too_many_calls(self) -> bool:
        """Whether the model wants to call more tools than one commit can hold."""
        return len(self._calls) > MOST_TOOL_CALLS

    def settled(
        self,
        job: JobId,
        outcome: Literal["succeeded", "failed", "cancelled"],
        *,
        asked: str,
        facts: AttemptFacts,
        error: str = "",
    ) -> LLMSettled:
        """The settlement of `job`. Only a success calls tools; the text that came is kept in any case."""
        return LLMSettled(
            job=job,
            outcome=outcome,
            text=self.text,
            tool_calls=self.tool_calls if outcome == "succeeded" else (),
            asked=asked,
            model=self.model,
            error=error,
            **msgspec.structs.asdict(facts),
        )
