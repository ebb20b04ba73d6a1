"""Chat completions as OpenAI and the servers that imitate it send them."""

from __future__ import annotations

import pytest

from services.llm.provider import Finished, Piece, ProviderError, TextDelta, TokenUsage
from services.llm.vendors.openai_answer import ChatAnswer
from tests.unit.llm_vendors.events import calls_of, event_of, pieces_of, reason_of

Json = dict[str, object]


def chunk(delta: Json | None = None, reason: str | None = None, **more: object) -> Json:
    return {"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more}


def call(
    id: str | None = None, name: str | None = None, arguments: str = "", index: int | None = None
) -> Json:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    delta: Json = {"function": function}
    delta |= {"id": id} if id is not None else {}
    delta |= {"index": index} if index is not None else {}
    return chunk({"tool_calls": [delta]})


def read(*events: object) -> list[Piece]:
    return pieces_of(ChatAnswer(), *events)


END = chunk({}, "tool_calls")


def test_an_answer_without_done_and_usage_is_whole() -> None:
    assert read(chunk({"content": "Hi"}), chunk({}, "stop")) == [
        TextDelta("Hi"),
        Finished(reason="stop", model="m"),
    ]


def test_done_without_a_reason_for_the_end_is_truncated() -> None:
    with pytest.raises(ProviderError, match="truncated"):
        read(chunk({"content": "Hi"}), "[DONE]")


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ("stop", "stop"),
        ("eos_token", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("content_filter", "refused"),
        ("function_call", "stop"),
    ],
)
def test_the_reasons_for_an_end_have_many_names(told: str, reason: str) -> None:
    assert reason_of(read(chunk({"content": "Hi"}), chunk({}, told))) == reason


@pytest.mark.parametrize("told", ["stop", "tool_calls", "function_call"])
def test_an_answer_that_calls_tools_ended_for_that(told: str) -> None:
    assert reason_of(read(call("a", "t", "{}", 0), chunk({}, told))) == "tool_calls"


def test_an_empty_reason_is_no_reason() -> None:
    assert reason_of(read(chunk({"content": "Hi"}, ""), chunk({}, "stop"))) == "stop"


def test_a_server_that_broke_off_gave_no_answer() -> None:
    with pytest.raises(ProviderError) as raised:
        read(chunk({"content": "Hi"}), chunk({}, "abort"))
    assert (raised.value.kind, raised.value.code) == ("ambiguous", "vendor_broke_off")


def test_words_of_refusal_are_the_answer_and_the_reason() -> None:
    pieces = read(chunk({"refusal": "I can not "}), chunk({"refusal": "do that."}), chunk({}, "stop"))
    assert [p.text for p in pieces if isinstance(p, TextDelta)] == ["I can not ", "do that."]
    assert reason_of(pieces) == "refused"


def test_what_a_model_thinks_is_not_its_answer() -> None:
    thoughts = chunk({"reasoning_content": "Hm", "reasoning": "Hm"})
    typed = chunk({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hi"}]})
    assert read(thoughts, typed, chunk({}, "stop"))[0] == TextDelta("Hi")


def test_chunks_that_say_nothing_are_passed_over() -> None:
    empty = [
        {"choices": []},
        {"choices": None},
        {"prompt_filter_results": []},
        chunk(None),
        chunk({"content": None}),
    ]
    assert read(*empty, chunk({"content": "Hi"}), chunk({}, "stop"))[0] == TextDelta("Hi")


def test_a_second_choice_is_not_mixed_with_the_first() -> None:
    second = {"choices": [{"index": 1, "delta": {"content": "other"}, "finish_reason": None}]}
    assert read(second, chunk({"content": "Hi"}), chunk({}, "stop"))[0] == TextDelta("Hi")


def test_the_last_usage_counts() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": None}
    last = {
        "prompt_tokens": 9,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    pieces = read(chunk({"content": "Hi"}, usage=usage), chunk({}, "stop"), {"choices": [], "usage": last})
    assert pieces[1] == TokenUsage(input=9, output=5, cached=4, reasoning=2)


def test_deltas_with_numbers_are_joined_by_them() -> None:
    pieces = read(
        call("a", "one", "", 0), call("b", "two", "", 1), call(None, None, '{"x"', 0),
        call(None, None, "{}", 1), call(None, None, ":1}", 0), END,
    )  # fmt: skip
    assert calls_of(pieces) == [("a", "one", '{"x":1}'), ("b", "two", "{}")]


def test_deltas_without_numbers_are_joined_by_ids_and_order() -> None:
    pieces = read(call("a", "one", '{"x"'), call(None, None, ":1}"), call("b", "two", "{}"), END)
    assert calls_of(pieces) == [("a", "one", '{"x":1}'), ("b", "two", "{}")]


def test_calls_that_all_have_the_number_0_are_told_apart_by_their_ids() -> None:
    pieces = read(call("a", "t", '{"x":1}', 0), call("b", "t", '{"x":2}', 0), END)
    assert calls_of(pieces) == [("a", "t", '{"x":1}'), ("b", "t", '{"x":2}')]


def test_whole_calls_of_one_number_and_id_are_told_apart() -> None:
    pieces = read(call("a", "t", '{"x":1}', 0), call("a", "t", '{"x":2}', 0), END)
    assert calls_of(pieces) == [("a", "t", '{"x":1}'), ("a", "t", '{"x":2}')]


def test_an_id_and_a_name_repeated_in_every_delta_are_one_call() -> None:
    pieces = read(call("a", "t", '{"x"', 0), call("a", "t", ":1", 0), call("a", "t", "}", 0), END)
    assert calls_of(pieces) == [("a", "t", '{"x":1}')]


def test_calls_without_ids_and_numbers_are_told_apart_by_their_names() -> None:
    pieces = read(call(None, "one"), call(None, "two"), END)
    assert calls_of(pieces) == [("", "one", "{}"), ("", "two", "{}")]


def test_arguments_sent_as_an_object_are_their_text() -> None:
    delta = {"index": 0, "id": "a", "function": {"name": "t", "arguments": {"x": 1}}}
    assert calls_of(read(chunk({"tool_calls": [delta]}), END)) == [("a", "t", '{"x":1}')]


def test_a_call_that_was_cut_off_by_the_length_is_left_out() -> None:
    pieces = read(call("a", "t", "{}", 0), call("b", "t", '{"x"', 1), chunk({}, "length"))
    assert (calls_of(pieces), reason_of(pieces)) == ([("a", "t", "{}")], "length")


def test_broken_arguments_are_the_models_and_passed_on() -> None:
    assert calls_of(read(call("a", "t", '{"x"', 0), END)) == [("a", "t", '{"x"')]


def test_endless_arguments_are_malformed() -> None:
    answer = ChatAnswer()
    with pytest.raises(ProviderError, match="answer_too_large"):
        pieces_of(answer, *[call("a", "t", "x" * 1_000_000, 0)] * 10)


@pytest.mark.parametrize(
    "data", ["[]", "{", '{"choices": 1}', "\x00", '{"choices": [{"delta": {"content": 1}}]}']
)
def test_a_chunk_nobody_can_read_is_malformed(data: str) -> None:
    with pytest.raises(ProviderError, match="malformed"):
        read(data)


def test_how_long_to_wait_for_what_follows_the_end() -> None:
    answer = ChatAnswer()
    waits: list[float] = []
    for event in (chunk({"content": "Hi"}), chunk({}, "stop"), {"usage": {"prompt_tokens": 1}}):
        list(answer.feed(event_of(event)))
        waits.append(answer.patience_s() or 0)
    assert waits[0] == 0
    assert waits[1] > waits[2] > 0
