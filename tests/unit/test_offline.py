"""What the offline model answers."""

from __future__ import annotations

import msgspec

from services.jobs.deadline import Deadlines
from services.llm.call import RunningCall
from services.llm.offline import OfflineProvider
from services.llm.provider import (
    ChatMessage,
    ChatRequest,
    Finished,
    Piece,
    TextDelta,
    TokenUsage,
    ToolCallRequest,
)
from services.tools.clock import clock_tool
from services.tools.contract import ToolCall
from services.tools.registry import ToolRegistry
from services.tools.runner import ToolRunner, fault

CLOCK = (clock_tool().spec(),)


def ask(*messages: ChatMessage, offers_clock: bool = True, system: str = "") -> list[Piece]:
    request = ChatRequest(model="", system=system, messages=messages, tools=CLOCK if offers_clock else ())
    return list(OfflineProvider().stream(request, RunningCall(deadlines=Deadlines(), wall_s=60)))


def user(text: str) -> ChatMessage:
    return ChatMessage(role="user", text=text)


def text_of(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, TextDelta))


def after_clock(result: str) -> str:
    asked = user("What time is it?")
    call = next(piece for piece in ask(asked) if isinstance(piece, ToolCallRequest))
    return text_of(
        ask(
            asked,
            ChatMessage(role="assistant", tool_calls=(call,)),
            ChatMessage(role="tool", call_id=call.id, text=result),
        )
    )


def test_it_says_what_it_is_and_how_to_choose_a_real_model() -> None:
    said = text_of(ask(user("Hello")))
    assert "offline model" in said
    assert "TURNWRIGHT_MODEL" in said


def test_it_repeats_the_last_input() -> None:
    said = text_of(ask(user("old"), ChatMessage(role="assistant", text="x"), user("Hello\nthere")))
    assert "> Hello\n> there" in said
    assert "old" not in said


def test_it_repeats_all_inputs_that_were_collected_into_one_turn() -> None:
    said = text_of(ask(user("one"), user("two")))
    assert said.index("> one") < said.index("> two")


def test_what_it_repeats_is_bounded() -> None:
    said = text_of(ask(*(user("long " * 10_000) for _ in range(50))))
    assert len(said) < 4000
    assert "[…]" in said


def test_nothing_to_answer_is_still_an_answer() -> None:
    assert "nothing to answer" in text_of(ask())
    assert "(nothing)" in text_of(ask(user("")))


def test_the_same_question_has_the_same_answer() -> None:
    assert ask(user("Hello"), system="s") == ask(user("Hello"), system="s")


def test_usage_counts_words() -> None:
    pieces = ask(user("one two three"), system="four five", offers_clock=False)
    usage = next(piece for piece in pieces if isinstance(piece, TokenUsage))
    assert usage == TokenUsage(input=5, output=len(text_of(pieces).split()))


def test_it_asks_the_clock_for_the_time() -> None:
    for question in ("What time is it?", "what's the time", "WHAT IS THE CURRENT TIME please"):
        pieces = ask(user(question))
        call = next(piece for piece in pieces if isinstance(piece, ToolCallRequest))
        assert (call.name, call.arguments) == ("clock", "{}")
        assert pieces[-1] == Finished(reason="tool_calls", model="offline")


def test_a_time_zone_in_the_question_is_passed_on() -> None:
    pieces = ask(user("What time is it in Europe/Vienna?"))
    call = next(piece for piece in pieces if isinstance(piece, ToolCallRequest))
    assert msgspec.json.decode(call.arguments) == {"timezone": "Europe/Vienna"}


def test_without_the_clock_it_repeats_the_question() -> None:
    assert "> What time" in text_of(ask(user("What time is it?"), offers_clock=False))


def test_calls_in_one_history_have_different_ids() -> None:
    first = next(piece for piece in ask(user("what time")) if isinstance(piece, ToolCallRequest))
    history = (
        user("what time"),
        ChatMessage(role="assistant", tool_calls=(first,)),
        ChatMessage(role="tool", call_id=first.id, text="x"),
        ChatMessage(role="assistant", text="x"),
        user("what time"),
    )
    second = next(piece for piece in ask(*history) if isinstance(piece, ToolCallRequest))
    assert first.id != second.id


def test_it_phrases_what_the_clock_says() -> None:
    outcome = ToolRunner(ToolRegistry([clock_tool()])).run("clock", "{}", ToolCall(session="s", call="c"))
    said = after_clock(outcome.result)
    assert "offline model" in said
    assert "The clock says 20" in said
    assert "(UTC)" in said


def test_it_tells_that_a_tool_failed_and_does_not_ask_again() -> None:
    assert "gave no result (timeout): stopped after 5 s" in after_clock(fault("timeout", "stopped after 5 s"))
    assert "gave no result (interrupted)" in after_clock(fault("interrupted"))


def test_any_other_result_is_quoted() -> None:
    assert "The tool clock answered:\n\n> half past ten" in after_clock("half past ten")
