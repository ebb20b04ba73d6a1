"""The built-in provider `offline`: no model, no network, the same answer to the same question every time.

It says what it is in every answer, repeats what it was asked, and calls the tool `clock` when asked for
the time, so that everything around a model can be tried without one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import msgspec

from services.llm.provider import (
    Call,
    ChatMessage,
    ChatRequest,
    Finished,
    Piece,
    ProviderError,
    TextDelta,
    TokenUsage,
    ToolCallRequest,
)

NAME = "offline"
NOTICE = (
    "This is Turnwright's offline model: it does not think, it repeats. "
    "For real answers start it with TURNWRIGHT_MODEL=openai:<model> and OPENAI_API_KEY, "
    "or anthropic:<model> and ANTHROPIC_API_KEY, or a model of any installed provider."
)
_WORDS_PER_PIECE = 6
_QUOTED_INPUTS = 5
_QUOTED_CHARS = 500
_ASKS_TIME = re.compile(
    r"\b(what\s+time|what('s|\s+is)\s+the\s+(current\s+)?time|current\s+time)\b", re.IGNORECASE
)
_ZONE = re.compile(r"\b(?:[A-Z][A-Za-z]+(?:/[A-Za-z_+\-0-9]+)+)")


class _ClockReading(msgspec.Struct, frozen=True):
    time: str
    timezone: str


class _ToolFault(msgspec.Struct, frozen=True):
    error: str
    message: str = ""


class OfflineProvider:
    """Deterministic stand-in for a model. Serves any number of threads."""

    name = NAME
    context_tokens = 8192

    def stream(self, request: ChatRequest, call: Call) -> Iterator[Piece]:
        """Answer in pieces of a few words. Raises: ProviderError("cancelled")."""
        call.starting()
        asked = _last_inputs(request.messages)
        wanted = _clock_call(request, asked)
        text = "" if wanted else f"{NOTICE}\n\n{_answer(request.messages, asked)}"
        for part in _parts(text):
            if call.is_cancelled():
                raise ProviderError("cancelled")
            yield TextDelta(part)
        if call.is_cancelled():
            raise ProviderError("cancelled")
        if wanted:
            yield wanted
        yield TokenUsage(input=_words_in(request), output=_words(text) + (1 if wanted else 0))
        yield Finished(reason="tool_calls" if wanted else "stop", model=NAME)


def _last_inputs(messages: tuple[ChatMessage, ...]) -> list[str]:
    """The user's texts at the very end: several when they were collected into one turn."""
    texts: list[str] = []
    for message in reversed(messages):
        if message.role != "user":
            break
        texts.append(message.text)
    return texts[::-1]


def _clock_call(request: ChatRequest, asked: list[str]) -> ToolCallRequest | None:
    if not any(tool.name == "clock" for tool in request.tools):
        return None
    question = next((text for text in reversed(asked) if _ASKS_TIME.search(text)), None)
    if question is None:
        return None
    zone = _ZONE.search(question)
    arguments = {"timezone": zone.group()} if zone else {}
    return ToolCallRequest(
        id=_call_id(request.messages), name="clock", arguments=msgspec.json.encode(arguments).decode()
    )


def _call_id(messages: tuple[ChatMessage, ...]) -> str:
    return f"offline-{hashlib.blake2s(msgspec.json.encode(messages), digest_size=6).hexdigest()}"


def _answer(messages: tuple[ChatMessage, ...], asked: list[str]) -> str:
    if asked:
        quotes = "\n\n".join(_quote(text) for text in asked[-_QUOTED_INPUTS:])
        return f"You said:\n\n{quotes}"
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    results: list[str] = []
    for message in reversed(messages):
        if message.role != "tool":
            break
        results.append(_phrase(names.get(message.call_id, "tool"), message.text))
    return "\n\n".join(reversed(results)) if results else "There was nothing to answer."


def _phrase(tool: str, result: str) -> str:
    try:
        fault = msgspec.json.decode(result, type=_ToolFault)
    except msgspec.DecodeError:
        pass
    else:
        detail = f": {_bounded(fault.message)}" if fault.message else ""
        return f"The tool {tool} gave no result ({_bounded(fault.error)}){detail}"
    if tool == "clock":
        try:
            reading = msgspec.json.decode(result, type=_ClockReading)
        except msgspec.DecodeError:
            pass
        else:
            return f"The clock says {_bounded(reading.time)} ({_bounded(reading.timezone)})."
    return f"The tool {tool} answered:\n\n{_quote(result)}"


def _quote(text: str) -> str:
    return "\n".join(f"> {line}" for line in _bounded(text).splitlines()) or "> (nothing)"


def _bounded(text: str) -> str:
    return text if len(text) <= _QUOTED_CHARS else text[:_QUOTED_CHARS] + " […]"


def _parts(text: str) -> list[str]:
    tokens = re.findall(r"\S+\s*", text)
    return ["".join(tokens[i : i + _WORDS_PER_PIECE]) for i in range(0, len(tokens), _WORDS_PER_PIECE)]


def _words(text: str) -> int:
    return len(text.split())


def _words_in(request: ChatRequest) -> int:
    texts = [request.system, *(message.text for message in request.messages)]
    texts += [tool.description for tool in request.tools]
    return sum(_words(text) for text in texts)
