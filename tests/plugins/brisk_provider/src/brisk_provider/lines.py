"""The wire: what is asked of the model, and the JSON lines of its answer as they come.

{"text"}, {"tool_call"}, {"usage"}, {"error"} and, at the end, {"done", "model"}.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from typing import Literal

import msgspec

PATH = "/v1/stream"
_HEADERS = {"Content-Type": "application/json"}
_PART = 65536
_LONGEST_LINE = 1024 * 1024
_encoder = msgspec.json.Encoder()


class ToolCallLine(msgspec.Struct, frozen=True):
    """A complete tool call."""

    id: str
    name: str
    arguments: str


class UsageLine(msgspec.Struct, frozen=True):
    """Tokens of the request."""

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0


class Line(msgspec.Struct, frozen=True):
    """One line of an answer; exactly one of the fields says what it is."""

    text: str | None = None
    tool_call: ToolCallLine | None = None
    usage: UsageLine | None = None
    error: str | None = None
    done: Literal["stop", "tool_calls", "length", "refused"] | None = None
    model: str = ""


class Refusal(msgspec.Struct, frozen=True):
    """The body of an answer that is not 200."""

    error: str = ""


class BadLine(Exception):
    """A line that is none of the above, or that does not end."""


_decoder = msgspec.json.Decoder(Line)


def ask(connection: http.client.HTTPConnection, asked: object) -> http.client.HTTPResponse:
    """Send `asked`, wait for the head of the answer. Raises: OSError, http.client.HTTPException."""
    connection.request("POST", PATH, body=_encoder.encode(asked), headers=_HEADERS)
    return connection.getresponse()


def lines(response: http.client.HTTPResponse) -> Iterator[Line]:
    """The lines of an answer as they come, to its end. Raises: BadLine, OSError, http.client.HTTPException."""
    rest = b""
    while part := response.read1(_PART):
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            if line:
                yield _decoded(line)
        if len(rest) > _LONGEST_LINE:
            raise BadLine


def _decoded(line: bytes) -> Line:
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, RecursionError):
        raise BadLine from None
