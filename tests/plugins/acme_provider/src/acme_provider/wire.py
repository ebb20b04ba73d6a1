"""The JSON-lines wire format: what is sent, what comes back, and lines cut out of bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from turnwright import ChatRequest, ProviderError, TokenUsage, ToolCallRequest

_LINE_BYTES = 1024 * 1024
_SENT = ("model", "system", "messages", "tools", "session", "job")


class Line(msgspec.Struct, frozen=True):
    """One line of an answer; exactly one of the fields says what it is."""

    text: str | None = None
    tool_call: ToolCallRequest | None = None
    usage: TokenUsage | None = None
    error: str | None = None
    done: Literal["stop", "tool_calls", "length", "refused"] | None = None
    model: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """The body of an answer that is not 200."""

    error: str = ""


def encode_request(request: ChatRequest) -> bytes:
    """The body of a request."""
    return msgspec.json.encode({name: getattr(request, name) for name in _SENT})


def lines_of(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Complete lines; what follows the last line end was cut off and is dropped.

    Raises: ProviderError("malformed") when a line does not end within 1 MB.
    """
    rest = b""
    for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        yield from (line for line in lines if line.strip())
        if len(rest) > _LINE_BYTES:
            raise ProviderError("malformed", code="line_too_long")
