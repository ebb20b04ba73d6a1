"""Anthropic's messages, event by event."""

from __future__ import annotations

import pytest

from services.llm.provider import Finished, Piece, ProviderError, TextDelta, TokenUsage
from services.llm.vendors.anthropic_answer import MessageAnswer
from tests.unit.llm_vendors.events import calls_of, pieces_of, reason_of

Json = dict[str, object]

STOP: Json = {"type": "message_stop"}


def start(**usage: int) -> Json:
    return {"type": "message_start", "message": {"model": "m", "usage": usage}}


def block(index: int, **content: object) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": content}


def delta(index: int, **told: object) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": told}


def text(words: str) -> Json:
    return delta(0, type="text_delta", text=words)


def end(reason: str | None, **usage: object) -> Json:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


def read(*events: object) -> list[Piece]:
    return pieces_of(MessageAnswer(), *events)


def test_an_answer_is_its_texts_and_its_end() -> None:
    assert read({"type": "message_start", "message": {"model": "m"}}, text("Hi"), end("end_turn"), STOP) == [
        TextDelta("Hi"),
        Finished(reason="stop", model="m"),
    ]


def test_a_reason_without_the_end_of_the_message_is_truncated() -> None:
    with pytest.raises(ProviderError, match="truncated"):
        read(start(), text("Hi"), end("end_turn"))


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "refused"),
    ],
)
def test_every_reason_has_its_meaning(told: str, reason: str) -> None:
    assert reason_of(read(text("Hi"), end(told), STOP)) == reason


def test_tokens_read_from_and_written_to_the_cache_are_part_of_the_input() -> None:
    pieces = read(
        start(
            input_tokens=10, cache_read_input_tokens=100, cache_creation_input_tokens=1000, output_tokens=1
        ),
        end("end_turn", output_tokens=7, output_tokens_details={"thinking_tokens": 3}),
        STOP,
    )
    assert pieces[0] == TokenUsage(input=1110, output=7, cached=100, cache_write=1000, reasoning=3)


def test_calls_are_joined_from_their_parts() -> None:
    pieces = read(
        block(0, type="thinking", thinking=""),
        delta(0, type="thinking_delta", thinking="Hm"),
        delta(0, type="signature_delta", signature="x"),
        block(1, type="tool_use", id="a", name="one", input={}),
        delta(1, type="input_json_delta", partial_json='{"x"'),
        delta(1, type="input_json_delta", partial_json=":1}"),
        block(2, type="tool_use", id="b", name="two", input={}),
        end("tool_use"),
        STOP,
    )
    assert calls_of(pieces) == [("a", "one", '{"x":1}'), ("b", "two", "{}")]
    assert reason_of(pieces) == "tool_calls"


def test_arguments_may_come_with_the_beginning_of_a_call() -> None:
    pieces = read(block(0, type="tool_use", id="a", name="t", input={"x": 1}), end("tool_use"), STOP)
    assert calls_of(pieces) == [("a", "t", '{"x":1}')]


def test_a_call_that_was_cut_off_by_the_length_is_left_out() -> None:
    pieces = read(
        block(0, type="tool_use", id="a", name="t", input={}),
        delta(0, type="input_json_delta", partial_json='{"x"'),
        end("max_tokens"),
        STOP,
    )
    assert (calls_of(pieces), reason_of(pieces)) == ([], "length")


@pytest.mark.parametrize(
    ("type", "kind"), [("overloaded_error", "overloaded"), ("api_error", "ambiguous"), ("x", "ambiguous")]
)
def test_an_error_ends_the_answer(type: str, kind: str) -> None:
    with pytest.raises(ProviderError) as raised:
        read(text("Hi"), {"type": "error", "error": {"type": type, "message": "canary"}})
    assert raised.value.kind == kind
    assert "canary" not in str(raised.value)


def test_events_of_the_future_are_passed_over() -> None:
    assert read({"type": "ping"}, {"type": "tomorrow", "x": 1}, text("Hi"), end(None), STOP)[0] == TextDelta(
        "Hi"
    )


@pytest.mark.parametrize("data", ["[]", "{", "{}", '{"type": "message_start", "message": 1}'])
def test_an_event_nobody_can_read_is_malformed(data: str) -> None:
    with pytest.raises(ProviderError, match="malformed"):
        read(data)
