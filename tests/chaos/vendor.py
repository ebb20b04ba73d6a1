"""What the fake vendor answers: decided by marks in the prompt, so that a repeated request gets the same.

A prompt reads `p7 slow use:clock use:append_note fail:cut`; everything but the number is optional.
A mention reads `slow long fail:busy q7` and is answered by its number.
"""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections.abc import Callable, Sequence

from services.llm.provider import ChatRequest, Finished, Piece, TextDelta, TokenUsage, ToolCallRequest
from tests.fakes.llm_scripts import Answer, Cut, HangUp, Script, Status
from tests.fakes.llm_server import Recorded

QUICK_S = 0.06
SLOW_S = 0.5
WORDS = 5
TOOLS = ("clock", "look_up", "append_note", "wait")
FAILURES = ("cut", "hangup", "busy")
# More than one message of Slack's takes.
LONG_LINES = 120

_numbers = re.compile(r"\bq\d+\b")

Words = Callable[[str], Sequence[str]]


def plain(said: str) -> Sequence[str]:
    """The same to everybody."""
    return [f"word{n} " for n in range(WORDS)]


def numbered(said: str) -> Sequence[str]:
    """By the number of what was said last, which every line repeats; calls those whom it must not call."""
    token = _numbers.findall(said)[-1]
    line = f"re {token}: @turnwright and <@U0TURNWRI>, {'as I said, ' * 8}\n\n"
    lines = LONG_LINES if "long" in said.split() else 1
    return [line, *([line * (lines - 1)] if lines > 1 else [])]


class Vendor:
    """Answers requests with `words`. Each failure a prompt asks for happens once, at the first attempt at the job."""

    def __init__(self, words: Words = plain) -> None:
        self._words = words
        self._calls = itertools.count(1)
        self._failed: set[str] = set()
        self._lock = threading.Lock()

    def respond(self, recorded: Recorded) -> Script:
        """See `LLMServer`."""
        asked = recorded.asked
        said = " ".join(_unanswered(asked))
        gap_s = SLOW_S if "slow" in said.split() else QUICK_S
        failure = self._failure(asked.job, said)
        if failure is not None:
            return failure
        tools = [name for name in TOOLS if f"use:{name}" in said]
        return Answer(pieces=self._pieces(asked, tools, self._words(said)), delay_s=QUICK_S, gap_s=gap_s)

    def _pieces(self, asked: ChatRequest, tools: list[str], said: Sequence[str]) -> tuple[Piece, ...]:
        words: list[Piece] = [TextDelta(each) for each in said]
        usage = TokenUsage(input=10, output=WORDS)
        if not tools:
            return (*words, usage, Finished(reason="stop", model=asked.model))
        calls = [
            ToolCallRequest(id=f"call-{next(self._calls)}", name=name, arguments=_arguments(name))
            for name in tools
        ]
        return (*words[:2], *calls, usage, Finished(reason="tool_calls", model=asked.model))

    def _failure(self, job: str, said: str) -> Script | None:
        wanted = next((name for name in FAILURES if f"fail:{name}" in said), None)
        with self._lock:
            if wanted is None or job in self._failed:
                return None
            self._failed.add(job)
        match wanted:
            case "cut":
                return Cut(after=2, how="reset")
            case "hangup":
                return HangUp()
            case _:
                return Status(status=429, reason="busy", retry_after="1")


def _unanswered(asked: ChatRequest) -> list[str]:
    """The texts of the user behind the last answer; none once tools have answered."""
    texts: list[str] = []
    for message in reversed(asked.messages):
        if message.role != "user":
            break
        texts.append(message.text)
    return texts


def _arguments(tool: str) -> str:
    match tool:
        case "look_up":
            return json.dumps({"country": "Japan"})
        case "append_note":
            return json.dumps({"text": "noted"})
        case "wait":
            return json.dumps({"seconds": 0.5})
        case _:
            return "{}"
