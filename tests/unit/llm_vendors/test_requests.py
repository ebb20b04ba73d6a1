"""What the vendors are sent for one and the same history."""

from __future__ import annotations

import pytest

from services.llm.provider import ChatMessage, ChatRequest, ToolCallRequest
from services.llm.vendors import anthropic_request, openai_request
from services.llm.vendors.sendable import object_of, sendable_id, sendable_name

HISTORY = (
    ChatMessage(role="user", text="a"),
    ChatMessage(role="user", text="b"),
    ChatMessage(
        role="assistant",
        tool_calls=(
            ToolCallRequest(id="1", name="t", arguments='{"x": 1}'),
            ToolCallRequest(id="2", name="t", arguments="{"),
        ),
    ),
    ChatMessage(role="tool", call_id="1", text="one"),
    ChatMessage(role="tool", call_id="2", text=""),
    ChatMessage(role="user", text="c"),
)


def request(system: str = "") -> ChatRequest:
    return ChatRequest(model="m", system=system, messages=HISTORY)


def test_openai_gets_one_message_per_result_and_one_per_row_of_inputs() -> None:
    assert openai_request.messages_of(request("Be brief.")) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a\n\nb"},
        {
            "role": "assistant",
            "tool_calls": [
                {"type": "function", "id": "1", "function": {"name": "t", "arguments": '{"x": 1}'}},
                {
                    "type": "function",
                    "id": "2",
                    "function": {"name": "t", "arguments": '{"invalid_arguments":"{"}'},
                },
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "one"},
        {"role": "tool", "tool_call_id": "2", "content": ""},
        {"role": "user", "content": "c"},
    ]


def test_anthropic_gets_all_results_of_an_answer_in_the_message_that_follows_it() -> None:
    assert anthropic_request.messages_of(request()) == [
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "1", "name": "t", "input": {"x": 1}},
                {"type": "tool_use", "id": "2", "name": "t", "input": {"invalid_arguments": "{"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": "one"},
                {"type": "tool_result", "tool_use_id": "2"},
                {"type": "text", "text": "c"},
            ],
        },
    ]


def test_an_id_that_can_be_sent_stays_and_others_get_one_that_is_always_the_same() -> None:
    assert sendable_id("toolu_01A-b") == "toolu_01A-b"
    for id in ("", "a b", "x" * 41, "é"):
        assert sendable_id(id) == sendable_id(id) != id
        assert len(sendable_id(id)) <= 40
    assert sendable_id("a b") != sendable_id("a c")


@pytest.mark.parametrize(("name", "sent"), [("look_up", "look_up"), ("a.b c", "a_b_c"), ("", "unknown")])
def test_a_name_is_made_sendable(name: str, sent: str) -> None:
    assert sendable_name(name) == sent


@pytest.mark.parametrize("text", ["[1]", "1", "{", "\x00", "[" * 100_000])
def test_arguments_that_are_no_object_are_shown_as_such(text: str) -> None:
    assert object_of(text) == {"invalid_arguments": text}
