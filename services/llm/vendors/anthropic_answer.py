"""An answer of Anthropic's messages, put together from its events.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from services.llm.provider import Finished, Piece, ProviderError, TextDelta, TokenUsage, ToolCallRequest
from services.llm.vendors.failures import Fault, stream_failure
from services.llm.vendors.sendable import is_object
from services.llm.vendors.sse import ServerEvent

Reason = Literal["stop", "tool_calls", "length", "refused"]

_REASONS: Mapping[str, Reason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refused",
}
_ARGUMENT_CHARS = 8 * 1024 * 1024
_FOR_END_S = 0.3


class _OutputDetails(msgspec.Struct, frozen=True):
    thinking_tokens: int | None = None


class _Usage(msgspec.Struct, frozen=True):
    """Tokens so far. `input_tokens` counts neither what was read from a cache nor what was written to it."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


class _Message(msgspec.Struct, frozen=True):
    model: str = ""
    usage: _Usage | None = None


class _Block(msgspec.Struct, frozen=True):
    type: str = ""
    text: str = ""
    id: str = ""
    name: str = ""
    input: dict[str, object] | None = None


class _Delta(msgspec.Struct, frozen=True):
    text: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Event(msgspec.Struct, frozen=True):
    type: str
    message: _Message | None = None
    index: int = 0
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: _Usage | None = None
    error: Fault | None = None


_DECODER = msgspec.json.Decoder(_Event)


class _OpenCall:
    def __init__(self, block: _Block) -> None:
        self.block = block
        self.parts: list[str] = []

    def arguments(self) -> str:
        written = "".join(self.parts)
        return written if written.strip() else msgspec.json.encode(self.block.input or {}).decode()


class MessageAnswer:
    """One answer. `feed` it the events, then ask for its `end`."""

    def __init__(self) -> None:
        self._calls: dict[int, _OpenCall] = {}
        self._counts: dict[str, int] = {}
        self._model = self._reason = ""
        self._is_over = False
        self._room = _ARGUMENT_CHARS

    def feed(self, event: ServerEvent) -> Iterator[Piece]:
        """The text of this event. Raises: ProviderError."""
        told = _parsed(event.data)
        match told.type:
            case "error":
                raise stream_failure(told.error or Fault())
            case "message_start" if told.message:
                self._model = told.message.model
                self._count(told.message.usage)
            case "content_block_start" if told.content_block:
                yield from self._begin(told.index, told.content_block)
            case "content_block_delta" if told.delta:
                yield from self._add(told.index, told.delta)
            case "message_delta":
                self._reason = (told.delta and told.delta.stop_reason) or self._reason
                self._count(told.usage)
            case "message_stop":
                self._is_over = True

    def patience_s(self) -> float | None:
        """As in `exchange.Answer`."""
        return _FOR_END_S if self._is_over else None

    def end(self) -> Iterator[Piece]:
        """Tool calls, usage and the end. Raises: ProviderError when the message was not stopped."""
        if not self._is_over:
            raise ProviderError("truncated", code="no_end")
        ended = _REASONS.get(self._reason)
        calls = self._requests(is_cut=ended == "length")
        reason = ended or ("tool_calls" if calls else "stop")
        if reason != "refused":
            yield from calls
        if self._counts:
            yield self._tokens()
        yield Finished(reason=reason, model=self._model)

    def _begin(self, index: int, block: _Block) -> Iterator[Piece]:
        if block.type == "tool_use":
            self._calls[index] = _OpenCall(block)
        elif block.type == "text" and block.text:
            yield TextDelta(block.text)

    def _add(self, index: int, delta: _Delta) -> Iterator[Piece]:
        if delta.text:
            yield TextDelta(delta.text)
        if delta.partial_json and index in self._calls:
            self._room -= len(delta.partial_json)
            if self._room < 0:
                raise ProviderError("malformed", code="answer_too_large")
            self._calls[index].parts.append(delta.partial_json)

    def _requests(self, *, is_cut: bool) -> tuple[ToolCallRequest, ...]:
        """The calls, in order. `is_cut`: the answer became too long, so the last may have lost its end."""
        calls = list(self._calls.values())
        if is_cut and calls and not is_object(calls[-1].arguments()):
            calls.pop()
        return tuple(
            ToolCallRequest(id=call.block.id, name=call.block.name, arguments=call.arguments())
            for call in calls
        )

    def _count(self, usage: _Usage | None) -> None:
        """The counts are of the whole message each time; what an event leaves out stays."""
        if usage is None:
            return
        details = usage.output_tokens_details
        for name, count in (
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("read", usage.cache_read_input_tokens),
            ("written", usage.cache_creation_input_tokens),
            ("thinking", details.thinking_tokens if details else None),
        ):
            if count is not None:
                self._counts[name] = max(0, count)

    def _tokens(self) -> TokenUsage:
        counts = self._counts
        cached, written = counts.get("read", 0), counts.get("written", 0)
        return TokenUsage(
            input=counts.get("input", 0) + cached + written,
            output=counts.get("output", 0),
            cached=cached,
            cache_write=written,
            reasoning=counts.get("thinking", 0),
        )


def _parsed(data: bytes) -> _Event:
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, RecursionError):
        raise ProviderError("malformed", code="bad_event") from None
