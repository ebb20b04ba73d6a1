"""The messages of one request, built from the log: always sendable, windowed by whole turns.

Every tool call has one result; an input is said once; a withdrawn one not at all. Reads backward, so the
cost depends on the window, not on the length of the session. The turn that asks is always whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.llm.provider import ChatMessage, ToolCallRequest
from services.streams.event import Event, StreamId
from services.streams.near import Past
from services.streams.vocabulary import (
    HistoryWindowed,
    InputReceived,
    InputReplaced,
    InputWithdrawn,
    LLMRequested,
    LLMSettled,
    ToolSettled,
    TurnStarted,
)

PAGE = 200
KEEP = 0.75
CUT_TO = 0.5
CHARS_PER_TOKEN = 4
OVERHEAD = 8
# Who holds a token of this installation speaks for himself.
OWN_SOURCES = frozenset({"http", "prompt", "app", "cli"})
INTERRUPTED = "interrupted: no result was recorded"


class History(msgspec.Struct, frozen=True):
    """Messages of a request, by estimate `tokens` long. `first_turn` when older turns were left out just now, else 0.

    `is_empty`: nothing of what the request was to answer is left.
    """

    messages: tuple[ChatMessage, ...]
    first_turn: int
    is_empty: bool
    tokens: int = 0


class _Block:
    """The messages of one turn, or one silent input, at its place in the log. Results go by tool job."""

    def __init__(self, offset: int, turn: int = 0, inputs: tuple[int, ...] = ()) -> None:
        self.offset, self.turn, self.inputs = offset, turn, inputs
        self.said: list[LLMSettled] = []
        self.results: dict[str, str] = {}

    def tokens(self, texts: dict[int, str]) -> int:
        chars = sum(len(texts.get(o, "")) for o in self.inputs)
        chars += sum(map(_chars_said, self.said)) + sum(map(len, self.results.values()))
        return chars // CHARS_PER_TOKEN + OVERHEAD * (len(self.inputs) + len(self.said) + len(self.results))


class _Script:
    """Puts blocks into messages. An id that a vendor gave to several calls is made unique."""

    def __init__(self, texts: dict[int, str]) -> None:
        self._texts = texts
        self._shown: set[int] = set()
        self._ids: set[str] = set()
        self.messages: list[ChatMessage] = []

    def add(self, block: _Block) -> None:
        for offset in block.inputs:
            if offset in self._texts and offset not in self._shown:
                self._shown.add(offset)
                self.messages.append(ChatMessage(role="user", text=self._texts[offset]))
        for answer in block.said:
            self._say(answer, block.results)

    def _say(self, answer: LLMSettled, results: dict[str, str]) -> None:
        wanted = answer.tool_calls if answer.outcome == "succeeded" else ()
        calls = tuple(
            ToolCallRequest(id=self._fresh(c.id), name=c.name, arguments=c.arguments) for c in wanted
        )
        if not answer.text and not calls:
            return
        self.messages.append(ChatMessage(role="assistant", text=answer.text, tool_calls=calls))
        for i, call in enumerate(calls):
            text = results.get(f"{answer.job}.{i}", INTERRUPTED)
            self.messages.append(ChatMessage(role="tool", text=text, call_id=call.id))

    def _fresh(self, id: str) -> str:
        unique, n = id, 1
        while unique in self._ids:
            n += 1
            unique = f"{id}-{n}"
        self._ids.add(unique)
        return unique


class _Window:
    """Measures what a backward reading finds: `tokens` of what will be said, until they are more than `keep`.

    What names or changes an input lies behind it, so it is seen before. The turn that asks, and turns that
    begin within the window, are to be read down to their oldest input at `floor`.
    """

    def __init__(self, asked: LLMRequested, keep: int) -> None:
        self._asked, self._keep = asked, keep
        self._inputs = set(asked.inputs)
        self._changed: dict[int, int] = {}
        self._whole = asked.turn + 1
        self.forgotten = 0
        self.floor = min(asked.inputs, default=0)
        self.tokens = self.marked = 0

    def is_enough(self, lowest: int) -> bool:
        began = self._whole <= self._asked.turn
        is_full = bool(self.forgotten) or self.tokens > self._keep
        return lowest <= 1 or (began and is_full and lowest <= self.floor)

    def is_short(self, lowest: int) -> bool:
        """Whether a turn that no earlier cut left out is not whole, so that it is left out now."""
        return lowest > 1 and not self.forgotten and self._whole > max(1, self.marked)

    def see(self, event: Event) -> None:
        match event.type:
            case "turn.started":
                self._turn(event.decode(TurnStarted))
            case "input.received":
                self._input(event.offset, event.decode(InputReceived))
            case "input.replaced":
                new = event.decode(InputReplaced)
                self._changed.setdefault(new.input, len(new.text))
            case "input.withdrawn":
                self._changed[event.decode(InputWithdrawn).input] = 0
            case "llm.settled":
                self._count(_chars_said(event.decode(LLMSettled)))
            case "tool.settled":
                self._count(len(event.decode(ToolSettled).result))
            case "history.windowed" if not self.marked:
                self.marked = event.decode(HistoryWindowed).first_turn
            case "history.forgotten" if not self.forgotten:
                self.forgotten = event.offset

    def _turn(self, began: TurnStarted) -> None:
        if began.turn == self._asked.turn or (began.turn < self._asked.turn and self.tokens <= self._keep):
            self._whole = began.turn
            if began.turn >= self.marked:
                self._inputs.update(began.inputs)
                self.floor = min(self.floor, *began.inputs) if began.inputs else self.floor

    def _input(self, offset: int, said: InputReceived) -> None:
        is_silent = said.policy == "silent" and offset <= self._asked.upto
        if is_silent or offset in self._inputs:
            self._count(self._changed.get(offset, len(said.text)))

    def _count(self, chars: int) -> None:
        self.tokens += chars // CHARS_PER_TOKEN + OVERHEAD


def build(log: Past, stream: StreamId, asked: LLMRequested, context_tokens: int) -> History:
    """The history that answers `asked`, within the model's context.

    A turn that alone is larger than the context is not cut: the provider says that it is too long.
    """
    keep = int(context_tokens * KEEP)
    window = _Window(asked, keep)
    events = _read_back(log, stream, window)
    blocks, texts = _fold(events, asked)
    # Who asks is answered, whatever was forgotten after it was said.
    blocks = [b for b in blocks if b.offset > window.forgotten or b.turn == asked.turn]
    kept = [b for b in blocks if not b.turn or b.turn >= window.marked]
    first = 0
    if window.is_short(events[0].offset) or sum(block.tokens(texts) for block in kept) > keep:
        kept = _cut(kept, texts, int(context_tokens * CUT_TO), asked.turn)
        first = next((block.turn for block in kept if block.turn), 0)
    script = _Script(texts)
    for block in kept:
        script.add(block)
    tokens = sum(block.tokens(texts) for block in kept)
    return History(tuple(script.messages), first, not any(o in texts for o in asked.inputs), tokens)


def halve(log: Past, stream: StreamId, asked: LLMRequested, whole: History) -> History | None:
    """A history of half the size of `whole`, again by whole turns; None where nothing more can be left out."""
    half = build(log, stream, asked, max(1, whole.tokens))
    return half if half.tokens < whole.tokens else None


def _read_back(log: Past, stream: StreamId, window: _Window) -> list[Event]:
    """Enough of the newest events, ascending."""
    events: list[Event] = []
    while not events or not window.is_enough(events[-1].offset):
        page = log.read_back(stream, before=events[-1].offset if events else None, limit=PAGE)
        if not page:
            break
        for event in page:
            window.see(event)
        events += page
    events.reverse()
    return events


def _fold(events: Sequence[Event], asked: LLMRequested) -> tuple[list[_Block], dict[int, str]]:
    """The blocks, oldest first, and the newest texts of inputs that were not withdrawn."""
    blocks: list[_Block] = []
    texts: dict[int, str] = {}
    inputs: dict[int, InputReceived] = {}
    by_turn: dict[int, _Block] = {}
    by_job: dict[str, _Block] = {}
    for event in events:
        match event.type:
            case "input.received":
                said = inputs[event.offset] = event.decode(InputReceived)
                texts[event.offset] = words_of(said)
                if said.policy == "silent" and event.offset <= asked.upto:
                    blocks.append(_Block(event.offset, inputs=(event.offset,)))
            case "input.replaced":
                new = event.decode(InputReplaced)
                if (before := inputs.get(new.input)) is not None:
                    texts[new.input] = words_of(msgspec.structs.replace(before, text=new.text))
            case "input.withdrawn":
                texts.pop(event.decode(InputWithdrawn).input, None)
            case "turn.started":
                began = event.decode(TurnStarted)
                if began.turn <= asked.turn:
                    by_turn[began.turn] = _Block(event.offset, began.turn, began.inputs)
                    blocks.append(by_turn[began.turn])
            case "llm.requested":
                request = event.decode(LLMRequested)
                if request.turn in by_turn:
                    by_job[request.job] = by_turn[request.turn]
            case "tool.settled":
                settled = event.decode(ToolSettled)
                if (block := by_job.get(settled.job.rpartition(".")[0])) is not None:
                    block.results[settled.job] = settled.result
            case "llm.settled":
                answer = event.decode(LLMSettled)
                if (block := by_job.get(answer.job)) is not None:
                    block.said.append(answer)
    return blocks, texts


def words_of(said: InputReceived) -> str:
    """What the model is told of an input: whose words they are, where others talk than who runs this.

    A label stands at the beginning of a message and nowhere else, so nobody can write one for somebody else.
    """
    if said.source in OWN_SOURCES:
        return said.text
    author = f"{said.author} on {said.source}" if said.author else said.source
    permission = f", may {said.permission}" if said.permission else ""
    return f"[from {author}{permission}]\n{said.text}"


def _chars_said(answer: LLMSettled) -> int:
    calls = answer.tool_calls if answer.outcome == "succeeded" else ()
    return len(answer.text) + sum(len(call.arguments) for call in calls)


def _cut(blocks: Sequence[_Block], texts: dict[int, str], budget: int, turn: int) -> list[_Block]:
    """The newest whole turns within `budget`, and `turn` in any case."""
    left = budget - sum(block.tokens(texts) for block in blocks if block.turn == turn)
    kept: list[_Block] = []
    is_full = False
    for block in reversed(blocks):
        if block.turn != turn:
            left -= block.tokens(texts)
            is_full = is_full or left < 0
        if block.turn == turn or not is_full:
            kept.append(block)
    kept.reverse()
    return kept
