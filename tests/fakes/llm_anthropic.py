"""Anthropic's messages as the LLM fake speaks them: as strict about requests as the vendor."""

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

KEY = "sk-ant-test"
_REASONS = {"stop": "end_turn", "tool_calls": "tool_use", "length": "max_tokens", "refused": "refusal"}
_ID = re.compile(r"[A-Za-z0-9_-]+")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


class _Text(msgspec.Struct, tag_field="type", tag="text", forbid_unknown_fields=True):
    text: str


class _Use(msgspec.Struct, tag_field="type", tag="tool_use", forbid_unknown_fields=True):
    id: str
    name: str
    input: dict[str, object]


class _Result(msgspec.Struct, tag_field="type", tag="tool_result", forbid_unknown_fields=True):
    tool_use_id: str
    content: str = ""


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["user", "assistant"]
    content: str | list[_Text | _Use | _Result]

    def blocks(self) -> list[_Text | _Use | _Result]:
        return [_Text(self.content)] if isinstance(self.content, str) else self.content


class _Tool(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    description: str
    input_schema: dict[str, object]


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    max_tokens: int
    messages: list[_Message]
    stream: bool
    system: str | None = None
    tools: list[_Tool] = []


class Messages(Dialect):
    """Requires `key`; where that is empty, that none is sent."""

    content_type = "text/event-stream; charset=utf-8"

    def __init__(self, key: str = KEY) -> None:
        self._key = key

    def fault(self, path: str, headers: Mapping[str, str], body: bytes) -> Fault | None:
        """What the vendor would refuse."""
        if path != "/v1/messages":
            return Fault(404, "not_found_error")
        given = headers.get("x-api-key", "") or headers.get("authorization", "").removeprefix("Bearer ")
        if given != self._key:
            return Fault(401, "authentication_error")
        if not headers.get("anthropic-version"):
            return Fault(400, "anthropic-version: header is required")
        try:
            asked = msgspec.json.decode(body, type=_Asked)
        except msgspec.DecodeError as error:
            return Fault(400, str(error))
        return _broken_rule(asked)

    def answer(self, pieces: Sequence[Piece]) -> list[bytes]:
        """Events as the vendor sends them."""
        usage = next((piece for piece in pieces if isinstance(piece, TokenUsage)), None)
        model = next((piece.model for piece in pieces if isinstance(piece, Finished)), "fake-1")
        chunks: list[bytes] = []
        blocks = _Blocks()
        for piece in pieces:
            match piece:
                case TextDelta(text=text):
                    chunks.append(blocks.text(text))
                case ToolCallRequest():
                    chunks.append(blocks.call(piece))
                case TokenUsage():
                    chunks.append(_event({"type": "ping"}))
                case Finished(reason=reason):
                    chunks.append(blocks.close() + _end(_REASONS[reason], usage))
        chunks[0] = _start(model, usage) + chunks[0]
        return chunks

    def stream_error(self, code: str) -> bytes:
        """The event `error`."""
        type = {"overloaded": "overloaded_error", "server_error": "api_error"}.get(code, code)
        return _event({"type": "error", "error": {"type": type, "message": f"It went wrong: {code}"}})

    def refusal(self, reason: str) -> bytes:
        """An error body. That a prompt is too long is told in words only."""
        type, message = {
            "quota": ("billing_error", "Your credit balance is too low to access the Anthropic API."),
            "context_too_long": (
                "invalid_request_error",
                "prompt is too long: 210000 tokens > 200000 maximum",
            ),
        }.get(reason, (reason, f"Refused: {reason}"))
        error = {"type": type, "message": message, "details": None}
        return msgspec.json.encode({"type": "error", "error": error, "request_id": "req_1"})

    def read(self, body: bytes) -> ChatRequest:
        """The request as it was before it was put into the vendor's words."""
        asked = msgspec.json.decode(body, type=_Asked)
        return ChatRequest(
            model=asked.model,
            system=asked.system or "",
            messages=tuple(read for message in asked.messages for read in _read(message)),
            tools=tuple(
                ToolSpec(
                    name=tool.name,
                    description=tool.description,
                    parameters=msgspec.Raw(msgspec.json.encode(tool.input_schema)),
                )
                for tool in asked.tools
            ),
        )


class _Blocks:
    """The content blocks of an answer, one open at a time."""

    def __init__(self) -> None:
        self._index = 0
        self._is_open = False

    def text(self, text: str) -> bytes:
        begin = b"" if self._is_open else self._begin({"type": "text", "text": ""})
        self._is_open = True
        return begin + self._delta({"type": "text_delta", "text": text})

    def call(self, call: ToolCallRequest) -> bytes:
        middle = len(call.arguments) // 2
        before = self.close()
        begin = self._begin({"type": "tool_use", "id": call.id, "name": call.name, "input": {}})
        self._is_open = True
        deltas = (
            self._delta({"type": "input_json_delta", "partial_json": part})
            for part in ("", call.arguments[:middle], call.arguments[middle:])
        )
        return before + begin + b"".join(deltas) + self.close()

    def close(self) -> bytes:
        if not self._is_open:
            return b""
        self._is_open = False
        self._index += 1
        return _event({"type": "content_block_stop", "index": self._index - 1})

    def _begin(self, block: dict[str, object]) -> bytes:
        return _event({"type": "content_block_start", "index": self._index, "content_block": block})

    def _delta(self, delta: dict[str, str]) -> bytes:
        return _event({"type": "content_block_delta", "index": self._index, "delta": delta})


def _broken_rule(asked: _Asked) -> Fault | None:
    waiting: set[str] = set()
    for position, message in enumerate(asked.messages):
        blocks = message.blocks()
        if message.role != ("user", "assistant")[position % 2]:
            return Fault(400, "roles must alternate, the user's first")
        if any(isinstance(block, _Text) and not block.text.strip() for block in blocks) or not blocks:
            return Fault(400, "an empty text")
        results = [block.tool_use_id for block in blocks if isinstance(block, _Result)]
        if set(results) != waiting or len(results) != len(waiting):
            return Fault(400, "tool results do not match the tool uses before them")
        if any(isinstance(block, _Result) for block in blocks[len(results) :]):
            return Fault(400, "tool results must come first")
        uses = [block for block in blocks if isinstance(block, _Use)]
        if not all(_ID.fullmatch(use.id) and _NAME.fullmatch(use.name) for use in uses):
            return Fault(400, "an invalid id or name")
        waiting = {use.id for use in uses}
    if waiting or not asked.messages or asked.system == "" or asked.max_tokens < 1 or not asked.stream:
        return Fault(400, "an unsendable request")
    return None


def _read(message: _Message) -> list[ChatMessage]:
    if message.role == "user":
        return [
            ChatMessage(role="tool", text=block.content, call_id=block.tool_use_id)
            if isinstance(block, _Result)
            else ChatMessage(role="user", text=block.text if isinstance(block, _Text) else "")
            for block in message.blocks()
        ]
    texts = [block.text for block in message.blocks() if isinstance(block, _Text)]
    calls = tuple(
        ToolCallRequest(id=block.id, name=block.name, arguments=_spaced(block.input))
        for block in message.blocks()
        if isinstance(block, _Use)
    )
    return [ChatMessage(role="assistant", text="".join(texts), tool_calls=calls)]


def _spaced(value: object) -> str:
    """JSON as the tests write it."""
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()


def _start(model: str, usage: TokenUsage | None) -> bytes:
    message: dict[str, object] = {"id": "msg_1", "type": "message", "role": "assistant", "model": model}
    if usage is not None:
        message["usage"] = {
            "input_tokens": usage.input - usage.cached - usage.cache_write,
            "cache_read_input_tokens": usage.cached,
            "cache_creation_input_tokens": usage.cache_write,
            "output_tokens": 1,
        }
    return _event({"type": "message_start", "message": message | {"content": [], "stop_reason": None}})


def _end(reason: str, usage: TokenUsage | None) -> bytes:
    delta: dict[str, object] = {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None},
    }
    if usage is not None:
        details = {"thinking_tokens": usage.reasoning}
        delta["usage"] = {"output_tokens": usage.output, "output_tokens_details": details}
    return _event(delta) + _event({"type": "message_stop"})


def _event(value: Mapping[str, object]) -> bytes:
    return f"event: {value['type']}\ndata: ".encode() + msgspec.json.encode(value) + b"\n\n"
