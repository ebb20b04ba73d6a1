"""What the LLM fake can be told to do with one request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from services.llm.provider import Finished, Piece, TextDelta, TokenUsage

CutHow = Literal["end", "close", "reset"]
HELLO: tuple[Piece, ...] = (
    TextDelta("Hel"),
    TextDelta("lo, "),
    TextDelta("world"),
    TokenUsage(input=7, output=3, cached=2, cache_write=1, reasoning=1),
    Finished(reason="stop", model="fake-1"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer, after `delay_s` and with `gap_s` between its chunks."""

    pieces: tuple[Piece, ...] = HELLO
    delay_s: float = 0.0
    gap_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """Silence after `after` chunks, until the client or the server goes; without headers if `after` < 0."""

    pieces: tuple[Piece, ...] = HELLO
    after: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """An answer that ends after `after` chunks.

    `end` ends the HTTP body properly, `close` closes the connection, `reset` resets it.
    """

    pieces: tuple[Piece, ...] = HELLO
    after: int = 2
    how: CutHow = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """The connection closes after the request, before the first byte of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """An answer of this status; `reason` as in `Dialect.refusal`."""

    status: int
    reason: str = "refused"
    retry_after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamError:
    """Status 200, `after` chunks, then an error inside the stream, which ends properly."""

    pieces: tuple[Piece, ...] = HELLO
    after: int = 1
    code: str = "server_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """Status 200, `after` chunks, then bytes of no meaning."""

    pieces: tuple[Piece, ...] = HELLO
    after: int = 1
    body: bytes = b"\x00\xff<html>not what you asked for</html>\n\n{]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbatim:
    """This status with these headers and this body."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


Script = Answer | Stall | Cut | HangUp | Status | StreamError | Garbage | Verbatim
