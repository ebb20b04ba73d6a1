"""OpenAI's chat completions as the LLM fake speaks them: as strict about requests as the vendor."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from services.llm.provider import (
    ChatMessage,
    ChatRequest,
    Finished,
    Piece,
    TextDelta,
    TokenUsage,
    ToolCallRequest,
    ToolSpec,
)
from tests.fakes.llm_dialects import Dialect, Fault

KEY = "sk-test"
_REASONS = {"stop": "stop", "tool_calls": "tool_calls", "length": "length", "refused": "content_filter"}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class _Function(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    arguments: str


class _Call(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    type: Literal["function"]
    function: _Function


class _System(msgspec.Struct, tag_field="role", tag="system", forbid_unknown_fields=True):
    content: str


class _User(msgspec.Struct, tag_field="role", tag="user", forbid_unknown_fields=True):
    content: str


class _Assistant(msgspec.Struct, tag_field="role", tag="assistant", forbid_unknown_fields=True):
    content: str = ""
    tool_calls: list[_Call] = []


class _Tool(msgspec.Struct, tag_field="role", tag="tool", forbid_unknown_fields=True):
    tool_call_id: str
    content: str


class _Offered(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    description: str
    parameters: dict[str, object]


class _OfferedTool(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["function"]
    function: _Offered


class _StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    include_usage: Literal[True] | bool


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    messages: list[_System | _User | _Assistant | _Tool]
    stream: bool
    stream_options: _StreamOptions
    tools: list[_OfferedTool] = []


class ChatCompletions(Dialect):
    """Requires `key`; where that is empty, that none is sent."""

    content_type = "text/event-stream; charset=utf-8"

    def __init__(self, key: str = KEY) -> None:
        self._key = key

    def fault(self, path: str, headers: Mapping[str, str], body: bytes) -> Fault | None:
        """What the vendor would refuse."""
        if path != "/v1/chat/completions":
            return Fault(404, "unknown_url")
        if headers.get("authorization", "") != (f"Bearer {self._key}" if self._key else ""):
            return Fault(401, "invalid_api_key")
        try:
            asked = msgspec.json.decode(body, type=_Asked)
        except msgspec.DecodeError as error:
            return Fault(400, str(error))
        return _broken_rule(asked)

    def answer(self, pieces: Sequence[Piece]) -> list[bytes]:
        """Chunks as the vendor sends them; the usage follows the reason of the end."""
        usage = next((piece for piece in pieces if isinstance(piece, TokenUsage)), None)
        chunks: list[bytes] = []
        position = 0
        for piece in pieces:
            match piece:
                case TextDelta(text=text):
                    chunks.append(_chunk({"content": text}))
                case ToolCallRequest():
                    chunks.append(_call(position, piece))
                    position += 1
                case TokenUsage():
                    chunks.append(b": keep-alive\n\n")
                case Finished(reason=reason, model=model):
                    end = _chunk({}, _REASONS[reason], model)
                    chunks.append(end + (_usage(usage, model) if usage else b"") + b"data: [DONE]\n\n")
        chunks[0] = _chunk({"role": "assistant", "content": "", "refusal": None}) + chunks[0]
        return chunks

    def stream_error(self, code: str) -> bytes:
        """An error in place of a chunk."""
        return _event({"error": {"message": f"It went wrong: {code}", "type": code, "code": None}})

    def refusal(self, reason: str) -> bytes:
        """An error body."""
        code, type = {
            "quota": ("insufficient_quota", "insufficient_quota"),
            "context_too_long": ("context_length_exceeded", "invalid_request_error"),
        }.get(reason, (reason, "invalid_request_error"))
        error = {"message": f"Refused: {reason}", "type": type, "param": None, "code": code}
        return msgspec.json.encode({"error": error})

    def read(self, body: bytes) -> ChatRequest:
        """The request as it was before it was put into the vendor's words."""
        asked = msgspec.json.decode(body, type=_Asked)
        system = [each.content for each in asked.messages if isinstance(each, _System)]
        return ChatRequest(
            model=asked.model,
            system="".join(system),
            messages=tuple(_read(each) for each in asked.messages if not isinstance(each, _System)),
            tools=tuple(
                ToolSpec(
                    name=tool.function.name,
                    description=tool.function.description,
                    parameters=msgspec.Raw(msgspec.json.encode(tool.function.parameters)),
                )
                for tool in asked.tools
            ),
        )


def _broken_rule(asked: _Asked) -> Fault | None:
    waiting: list[str] = []
    for message in asked.messages:
        if isinstance(message, _Tool):
            if message.tool_call_id not in waiting:
                return Fault(400, "a tool message without its call")
            waiting.remove(message.tool_call_id)
            continue
        if waiting:
            return Fault(400, "a call without its tool message")
        if isinstance(message, _Assistant):
            for call in message.tool_calls:
                if len(call.id) > 40 or not _NAME.fullmatch(call.function.name):
                    return Fault(400, "an invalid id or name")
                msgspec.json.decode(call.function.arguments)
            waiting = [call.id for call in message.tool_calls]
    names = [tool.function.name for tool in asked.tools]
    if waiting or not asked.messages or not all(map(_NAME.fullmatch, names)) or not asked.stream:
        return Fault(400, "an unsendable request")
    return None


def _read(message: _System | _User | _Assistant | _Tool) -> ChatMessage:
    match message:
        case _Assistant():
            calls = tuple(
                ToolCallRequest(id=call.id, name=call.function.name, arguments=call.function.arguments)
                for call in message.tool_calls
            )
            return ChatMessage(role="assistant", text=message.content, tool_calls=calls)
        case _Tool():
            return ChatMessage(role="tool", text=message.content, call_id=message.tool_call_id)
        case _:
            return ChatMessage(role="user", text=message.content)


def _call(position: int, call: ToolCallRequest) -> bytes:
    """Name and id first, then the arguments in two parts."""
    middle = len(call.arguments) // 2
    first = {
        "index": position,
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": ""},
    }
    rest = [
        {"index": position, "function": {"arguments": part}}
        for part in (call.arguments[:middle], call.arguments[middle:])
    ]
    return b"".join(_chunk({"tool_calls": [delta]}) for delta in (first, *rest))


def _chunk(delta: dict[str, object], reason: str | None = None, model: str = "fake-1") -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
    return _event({**_HEAD, "model": model, "choices": [choice], "usage": None})


def _usage(usage: TokenUsage, model: str) -> bytes:
    told = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
    return _event({**_HEAD, "model": model, "choices": [], "usage": told})


_HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "service_tier": "default"}


def _event(value: object) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"
