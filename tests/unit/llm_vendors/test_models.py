"""How much context a model is used with."""

from __future__ import annotations

import pytest

from services.llm.vendors.models import context_tokens, output_tokens


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("gpt-4", 8_192),
        ("gpt-4-0613", 8_192),
        ("gpt-4o-mini", 128_000),
        ("gpt-4.1-nano", 200_000),
        ("gpt-6-sol", 200_000),
        ("o3-mini", 200_000),
        ("claude-opus-5-5", 200_000),
        ("llama3:8b", 32_768),
        ("meta/llama-4", 32_768),
    ],
)
def test_the_longest_known_beginning_of_a_name_counts(model: str, tokens: int) -> None:
    assert context_tokens(model) == tokens


def test_an_answer_leaves_room_for_the_history() -> None:
    for model in ("claude-opus-5-5", "claude-3-haiku-20240307", "kimi-k2"):
        assert output_tokens(model) <= context_tokens(model) // 4
