"""The messages of one request, built from the log: always sendable, windowed by whole turns.

Every tool call has a result; an input is said once; a withdrawn one not at all. Reads backward, so the
cost depends on the window, not on the length of the session.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.llm.provider import ChatMessage, ToolCallRequest
from services.streams.event import Event, StreamId
from services.streams.log import Log
from services.streams.vocabulary import (
    HistoryWindowed,
    InputReceived,
    InputReplaced,
    InputWithdrawn,
    LLMRequested,
    LLMSettled,
    ToolRequested,
    ToolSettled,
    TurnStarted,
)

PAGE = 200
KEEP = 0.75
CUT_TO = 0.5
CHARS_PER_TOKEN = 4
OVERHEAD = 8
INTERRUPTED = "interrupted: no result was recorded"


class History(msgspec.Struct, frozen=True):
    """Messages of a request. `first_turn` when older turns were left out just now, else 0.

    `is_empty`: nothing of what the request was to answer is left.
    """

    messages: tuple[ChatMessage, ...]
    first_turn: int
    is_empty: bool


class _Block:
    """The messages of one turn, or one silent input, at its place in the log."""

    def __init__(self, offset: int, turn: int = 0, inputs: tuple[int, ...] = ()) -> None:
        self.offset, self.turn, self.inputs = offset, turn, inputs
        self.said: list[ChatMessage] = []
        self.results: dict[str, str] = {}

    def messages(self, texts: dict[int, str], shown: set[int]) -> list[ChatMessage]:
        fresh = [o for o in self.inputs if o in texts and o not in shown]
        shown.update(fresh)
        out = [ChatMessage(role="user", text=texts[o]) for o in fresh]
        for message in self.said:
            out.append(message)
            for call in message.tool_calls:
                text = self.results.get(call.id, INTERRUPTED)
                out.append(ChatMessage(role="tool", text=text, call_id=call.id))
        return out


def build(log: Log, stream: StreamId, asked: LLMRequested, context_tokens: int) -> History:
    """The history that answers `asked`, within the model's context."""
    keep = int(context_tokens * KEEP)
    events, marked = _read_window(log, stream, keep)
    blocks, texts, withdrawn = _fold(events, asked)
    missing = [o for o in asked.inputs if o not in texts and o not in withdrawn]
    for offset in missing:
        event = log.get(stream, offset)
        if event is not None and event.type == "input.received":
            texts[offset] = event.decode(InputReceived).text
    for offset in withdrawn:
        texts.pop(offset, None)
    kept = [b for b in blocks if not b.turn or b.turn >= marked]
    first = 0
    if _size(kept, texts) > keep:
        kept, first = _cut(kept, texts, int(context_tokens * CUT_TO))
    shown: set[int] = set()
    messages = [message for block in kept for message in block.messages(texts, shown)]
    return History(tuple(messages), first, not any(o in texts for o in asked.inputs))


def _read_window(log: Log, stream: StreamId, keep_tokens: int) -> tuple[list[Event], int]:
    """Enough of the newest events, ascending, and the first turn that an earlier cut left in."""
    events: list[Event] = []
    size = marked = 0
    while not events or (events[-1].offset > 1 and size < keep_tokens * CHARS_PER_TOKEN):
        page = log.read_back(stream, before=events[-1].offset if events else None, limit=PAGE)
        events += page
        for event in page:
            if event.type in ("input.received", "llm.settled", "tool.settled", "tool.requested"):
                size += len(event.payload)
            elif event.type == "history.windowed" and not marked:
                marked = event.decode(HistoryWindowed).first_turn
        if len(page) < PAGE:
            break
    events.reverse()
    return events, marked


def _fold(events: Sequence[Event], asked: LLMRequested) -> tuple[list[_Block], dict[int, str], set[int]]:
    blocks: list[_Block] = []
    texts: dict[int, str] = {}
    withdrawn: set[int] = set()
    by_turn: dict[int, _Block] = {}
    turn_of: dict[str, int] = {}
    call_of: dict[str, tuple[int, str]] = {}
    for event in events:
        match event.type:
            case "input.received":
                said = event.decode(InputReceived)
                texts[event.offset] = said.text
                if said.policy == "silent" and event.offset <= asked.upto:
                    blocks.append(_Block(event.offset, inputs=(event.offset,)))
            case "input.replaced":
                new = event.decode(InputReplaced)
                texts[new.input] = new.text
            case "input.withdrawn":
                withdrawn.add(event.decode(InputWithdrawn).input)
            case "turn.started":
                began = event.decode(TurnStarted)
                if began.turn <= asked.turn:
                    by_turn[began.turn] = _Block(event.offset, began.turn, began.inputs)
                    blocks.append(by_turn[began.turn])
            case "llm.requested":
                request = event.decode(LLMRequested)
                turn_of[request.job] = request.turn
            case "tool.requested":
                wanted = event.decode(ToolRequested)
                call_of[wanted.job] = (wanted.turn, wanted.call)
            case "tool.settled":
                settled = event.decode(ToolSettled)
                turn, call = call_of.get(settled.job, (0, ""))
                if turn in by_turn:
                    by_turn[turn].results[call] = settled.result
            case "llm.settled":
                answer = event.decode(LLMSettled)
                block = by_turn.get(turn_of.get(answer.job, 0))
                if block is not None and (message := _assistant(answer)) is not None:
                    block.said.append(message)
    return blocks, texts, withdrawn


def _assistant(answer: LLMSettled) -> ChatMessage | None:
    calls: tuple[ToolCallRequest, ...] = ()
    if answer.outcome == "succeeded":
        calls = tuple(ToolCallRequest(id=c.id, name=c.name, arguments=c.arguments) for c in answer.tool_calls)
    if not answer.text and not calls:
        return None
    return ChatMessage(role="assistant", text=answer.text, tool_calls=calls)


def _tokens(block: _Block, texts: dict[int, str]) -> int:
    chars = sum(len(texts.get(o, "")) for o in block.inputs)
    chars += sum(len(m.text) + sum(len(c.arguments) for c in m.tool_calls) for m in block.said)
    chars += sum(map(len, block.results.values()))
    return chars // CHARS_PER_TOKEN + OVERHEAD * (1 + len(block.said) + len(block.results))


def _size(blocks: Sequence[_Block], texts: dict[int, str]) -> int:
    return sum(_tokens(block, texts) for block in blocks)


def _cut(blocks: Sequence[_Block], texts: dict[int, str], budget: int) -> tuple[list[_Block], int]:
    """The newest whole turns within `budget`, at least the last one; and the first turn kept."""
    kept: list[_Block] = []
    left = budget
    for block in reversed(blocks):
        left -= _tokens(block, texts)
        if kept and left < 0:
            break
        kept.append(block)
    kept.reverse()
    return kept, next((block.turn for block in kept if block.turn), 0)
