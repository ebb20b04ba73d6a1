"""What of people's words gets on spans: nothing, shapes, or words without secrets."""

from __future__ import annotations

import json

import pytest

from services.telemetry.content import TOTAL_LIMIT, Message, Part, masked, messages_as, words_as

TALK = [
    Message(role="user", parts=[Part(words="my canary is yellow")]),
    Message(
        role="assistant", parts=[Part(type="tool_call", id="c1", name="look_up", words='{"q": "canary"}')]
    ),
    Message(role="tool", parts=[Part(type="tool_call_response", id="c1", words="canary found")]),
]


def test_by_default_nothing_is_told() -> None:
    assert messages_as("none", TALK) == words_as("none", "canary") == ""


def test_redacted_tells_shapes_and_lengths_and_no_word() -> None:
    told = messages_as("redacted", TALK)

    assert "canary" not in told
    assert json.loads(told) == [
        {"role": "user", "parts": [{"type": "text", "content": "[19 characters]"}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "look_up", "arguments": "[15 characters]"}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "result": "[12 characters]"}]},
    ]


def test_full_tells_the_words() -> None:
    assert json.loads(messages_as("full", TALK))[0]["parts"][0]["content"] == "my canary is yellow"


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijklmnop0123",
        "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
        "xoxb-1234567890-abcdefghijkl",
        "tw_token-of-the-scenarios",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "AKIAIOSFODNN7EXAMPLE",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmNHl0w5N",
        "Bearer abcdef0123456789",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIEow",
    ],
)
def test_even_then_what_looks_like_a_secret_is_masked(secret: str) -> None:
    told = masked(f"use {secret} please")

    assert told == "use [secret] please" or secret.endswith("MIIEow")
    assert secret not in told


def test_a_password_that_is_named_is_masked() -> None:
    assert "hunter2" not in masked('{"password": "hunter2!"} and api_key=hunter2hunter2')
    assert "hunter2" not in masked("redis://user:hunter2@store:6379/0")


def test_a_long_conversation_is_cut_to_its_newest_messages_and_stays_json() -> None:
    talk = [Message(role="user", parts=[Part(words=f"{n} " * 300)]) for n in range(100)]

    told = messages_as("full", talk)

    assert len(told) <= TOTAL_LIMIT + 200
    assert json.loads(told)[-1]["parts"][0]["content"].startswith("99 ")


def test_a_long_text_is_cut_visibly() -> None:
    assert words_as("full", "x" * 5000).endswith("[cut: 5000 characters]")
