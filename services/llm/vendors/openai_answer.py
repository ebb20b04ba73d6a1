"""An answer of chat completions, put together from its chunks. Tolerates what compatible servers do.

No usage, no `[DONE]`, reasons of their own for the end, ids or positions of tool calls missing or repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from services.llm.provider import Finished, Piece, ProviderError, TextDelta, TokenUsage
from services.llm.vendors.failures import Fault, stream_failure
from services.llm.vendors.openai_calls import CallDelta, ToolCalls
from services.llm.vendors.sse import ServerEvent

Reason = Literal["stop", "tool_calls", "length", "refused"]

_REASONS: Mapping[str, Reason] = {
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "refused",
    "refusal": "refused",
    "safety": "refused",
    "sensitive": "refused",
}
_BROKEN_OFF = ("error", "abort", "network_error", "insufficient_system_resource")
# The usage comes after the reason of the end, and `[DONE]` after it; some servers send neither.
_FOR_USAGE_S = 2.0
_FOR_END_S = 0.3


class _Part(msgspec.Struct, frozen=True):
    type: str = ""
    text: str | None = None


class _Delta(msgspec.Struct, frozen=True):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    tool_calls: list[CallDelta] | None = None


class _Choice(msgspec.Struct, frozen=True):
    index: int | None = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _InputDetails(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct, frozen=True):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None


class _Chunk(msgspec.Struct, frozen=True):
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Fault | str | None = None


_DECODER = msgspec.json.Decoder(_Chunk)


class ChatAnswer:
    """One answer. `feed` it the events, then ask for its `end`."""

    def __init__(self) -> None:
        self._calls = ToolCalls()
        self._usage: _Usage | None = None
        self._model = self._reason = ""
        self._is_done = self._is_refused = False

    def feed(self, event: ServerEvent) -> Iterator[Piece]:
        """The text of this chunk. Raises: ProviderError."""
        if event.data.startswith(b"[DONE]"):
            self._is_done = True
            return
        chunk = _parsed(event.data)
        if chunk.error:
            raise stream_failure(chunk.error)
        self._model = chunk.model or self._model
        self._usage = chunk.usage or self._usage
        for choice in chunk.choices or ():
            if not choice.index:
                yield from self._add(choice)

    def patience_s(self) -> float | None:
        """As in `exchange.Answer`."""
        if not self._reason:
            return None
        return _FOR_END_S if self._is_done or self._usage else _FOR_USAGE_S

    def end(self) -> Iterator[Piece]:
        """Tool calls, usage and the end. Raises: ProviderError when the vendor gave no reason for the end."""
        if not self._reason:
            raise ProviderError("truncated", code="no_end")
        if self._reason in _BROKEN_OFF:
            raise ProviderError("ambiguous", code="vendor_broke_off")
        ended = _REASONS.get(self._reason)
        calls = self._calls.requests(is_cut=ended == "length")
        reason = ended or ("tool_calls" if calls else "stop")
        if self._is_refused and reason == "stop":
            reason = "refused"
        if reason != "refused":
            yield from calls
        if self._usage is not None:
            yield _tokens(self._usage)
        yield Finished(reason=reason, model=self._model)

    def _add(self, choice: _Choice) -> Iterator[Piece]:
        self._reason = choice.finish_reason or self._reason
        if choice.delta is None:
            return
        text = _text(choice.delta)
        if text:
            yield TextDelta(text)
        self._is_refused |= bool(choice.delta.refusal)
        for call in choice.delta.tool_calls or ():
            self._calls.add(call)


def _parsed(data: bytes) -> _Chunk:
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, RecursionError):
        raise ProviderError("malformed", code="bad_chunk") from None


def _text(delta: _Delta) -> str:
    if isinstance(delta.content, list):
        return "".join(part.text or "" for part in delta.content if part.type == "text")
    return (delta.content or "") + (delta.refusal or "")


def _tokens(usage: _Usage) -> TokenUsage:
    before, after = usage.prompt_tokens_details, usage.completion_tokens_details
    return TokenUsage(
        input=_count(usage.prompt_tokens),
        output=_count(usage.completion_tokens),
        cached=_count(before.cached_tokens if before else None),
        cache_write=_count(before.cache_write_tokens if before else None),
        reasoning=_count(after.reasoning_tokens if after else None),
    )


def _count(tokens: int | None) -> int:
    return max(0, tokens or 0)
