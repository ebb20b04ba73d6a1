"""How much of a model's context is used, and how long an answer may become.

A model's window may be larger: every turn pays for the whole of its history, so no more than 200,000 tokens
are sent. Names are matched by their beginning, the longest wins; models of your own servers count as small.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

_LARGE = 200_000
_UNKNOWN_CONTEXT = 32_768
_CONTEXT: Mapping[str, int] = {
    "claude-": _LARGE,
    "gpt-": _LARGE,
    "gpt-3.5-turbo": 16_385,
    "gpt-4": 8_192,
    "gpt-4-0125": 128_000,
    "gpt-4-1106": 128_000,
    "gpt-4-32k": 32_768,
    "gpt-4-turbo": 128_000,
    "gpt-4.": _LARGE,
    "gpt-4o": 128_000,
    "gpt-5-chat": 128_000,
    "gpt-oss": 128_000,
    "chatgpt-4o": 128_000,
    "o1": _LARGE,
    "o1-mini": 128_000,
    "o1-preview": 128_000,
    "o3": _LARGE,
    "o4": _LARGE,
}
_UNKNOWN_OUTPUT = 8_192
_OUTPUT: Mapping[str, int] = {
    "claude-": 32_000,
    "claude-3": 4_096,
    "claude-3-5": 8_192,
    "claude-3-7": 32_000,
}

T = TypeVar("T")


def context_tokens(model: str) -> int:
    """How many tokens of history and answer together a request to this model may have."""
    return _longest(_CONTEXT, model, _UNKNOWN_CONTEXT)


def output_tokens(model: str) -> int:
    """How many tokens an answer may have where the vendor demands a limit."""
    return _longest(_OUTPUT, model, _UNKNOWN_OUTPUT)


def _longest(known: Mapping[str, T], model: str, default: T) -> T:
    found = max((prefix for prefix in known if model.startswith(prefix)), key=len, default=None)
    return default if found is None else known[found]
