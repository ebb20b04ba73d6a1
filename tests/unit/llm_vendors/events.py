"""Feeds events to an answer as an exchange does."""

from __future__ import annotations

import msgspec

from services.llm.provider import Finished, Piece, ToolCallRequest
from services.llm.vendors.exchange import Answer
from services.llm.vendors.sse import ServerEvent


def pieces_of(answer: Answer, *events: object) -> list[Piece]:
    """All pieces of an answer of these events. Raises: ProviderError."""
    pieces: list[Piece] = []
    for event in events:
        pieces += answer.feed(event_of(event))
    return [*pieces, *answer.end()]


def event_of(value: object) -> ServerEvent:
    """The event whose data is a text, or a value as JSON."""
    return ServerEvent("", value.encode() if isinstance(value, str) else msgspec.json.encode(value))


def calls_of(pieces: list[Piece]) -> list[tuple[str, str, str]]:
    """Id, name and arguments of the tool calls."""
    return [(p.id, p.name, p.arguments) for p in pieces if isinstance(p, ToolCallRequest)]


def reason_of(pieces: list[Piece]) -> str:
    """Why the answer ended."""
    end = pieces[-1]
    assert isinstance(end, Finished)
    return end.reason
