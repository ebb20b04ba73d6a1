"""Wire formats that the LLM fake can speak. A vendor's adapter brings its own and meets the same tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from services.llm.provider import (
    ChatMessage,
    ChatRequest,
    Finished,
    Piece,
    TextDelta,
    TokenUsage,
    ToolCallRequest,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a vendor refuses a request, whatever the fake was told to do with it."""

    status: int
    reason: str


class Dialect(Protocol):
    """How one vendor writes requests and answers."""

    content_type: str

    def fault(self, path: str, headers: Mapping[str, str], body: bytes) -> Fault | None:
        """Whether the request breaks the vendor's rules. Header names are in lower case."""

    def answer(self, pieces: Sequence[Piece]) -> list[bytes]:
        """The chunks of an answer: at least one per text piece, the last one holds the terminal marker."""

    def stream_error(self, code: str) -> bytes:
        """A chunk that reports an error inside an answer of status 200; `overloaded` or anything else."""

    def refusal(self, reason: str) -> bytes:
        """The body of an answer that is not 200; `quota` and `context_too_long` have a meaning."""

    def read(self, body: bytes) -> ChatRequest:
        """What was asked, as far as the wire format carries it. Raises: msgspec.DecodeError."""


class _Asked(msgspec.Struct, frozen=True):
    model: str
    system: str = ""
    messages: tuple[ChatMessage, ...] = ()
    session: str = ""
    job: str = ""


class JSONLines(Dialect):
    """One JSON object per line: {"text"}, {"tool_call"}, {"usage"}, {"error"}, {"done", "model"}."""

    content_type = "application/x-ndjson"

    def fault(self, path: str, headers: Mapping[str, str], body: bytes) -> Fault | None:
        """Everything is welcome."""
        return None

    def answer(self, pieces: Sequence[Piece]) -> list[bytes]:
        """One line per piece, in order."""
        return [_line(piece) for piece in pieces]

    def stream_error(self, code: str) -> bytes:
        """{"error": code}"""
        return msgspec.json.encode({"error": code}) + b"\n"

    def refusal(self, reason: str) -> bytes:
        """{"error": reason}"""
        return msgspec.json.encode({"error": reason})

    def read(self, body: bytes) -> ChatRequest:
        """The request without its time limits and tools."""
        asked = msgspec.json.decode(body, type=_Asked)
        return ChatRequest(
            model=asked.model,
            system=asked.system,
            messages=asked.messages,
            session=asked.session,
            job=asked.job,
        )


def _line(piece: Piece) -> bytes:
    line: dict[str, object]
    match piece:
        case TextDelta(text=text):
            line = {"text": text}
        case ToolCallRequest():
            line = {"tool_call": piece}
        case TokenUsage():
            line = {"usage": piece}
        case Finished(reason=reason, model=model):
            line = {"done": reason, "model": model}
    return msgspec.json.encode(line) + b"\n"
