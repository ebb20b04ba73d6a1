"""What of prompts, answers and tool data may be on spans: nothing, their shape, or their words.

`none` is the default. `redacted` tells roles, kinds and lengths. `full` tells the words too, bounded, without
what looks like a key, a token or a password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from services.telemetry.otel import Content

TEXT_LIMIT = 2_000
TOTAL_LIMIT = 8_000

_SECRETS = re.compile(
    r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)"
    r"|\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)?"
    r"|\b(?:sk|pk|rk|tw|ghp|gho|ghs|ghu|xox[a-z]|whsec|glpat|AKIA|AIza|hf|github_pat)[-_]?[A-Za-z0-9_\-]{12,}"
    r"|\bBearer\s+[\w.~+/=-]{8,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?i:\b(?:pass(?:word|wd)?|secret|token|api[_-]?key|authorization)\b[\"']?\s*[:=]\s*[\"']?)[^\s\"',;}]{4,}",
    re.DOTALL,
)
MASK = "[secret]"


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One part of a message, in the terms of the GenAI conventions; `words` is its text or JSON."""

    type: str = "text"
    words: str
    id: str = ""
    name: str = ""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a conversation."""

    role: str
    parts: Sequence[Part]


def masked(text: str) -> str:
    """`text` without what looks like a secret."""
    return _SECRETS.sub(MASK, text)


def messages_as(content: Content, messages: Sequence[Message]) -> str:
    """The JSON of `messages` as far as `content` lets it be told, the newest within the limit; empty for `none`."""
    if content == "none":
        return ""
    kept: list[bytes] = []
    room = TOTAL_LIMIT
    for message in reversed(messages):
        shown = {"role": message.role, "parts": [_shown(content, part) for part in message.parts]}
        encoded = msgspec.json.encode(shown)
        room -= len(encoded)
        if room < 0:
            break
        kept.insert(0, encoded)
    return f"[{b','.join(kept).decode()}]"


def words_as(content: Content, words: str) -> str:
    """One text on its own, such as the arguments of a tool; empty for `none`."""
    if content == "none":
        return ""
    return f"[{len(words)} characters]" if content == "redacted" else _bounded(masked(words))


def _shown(content: Content, part: Part) -> Mapping[str, object]:
    shown: dict[str, object] = {"type": part.type}
    if part.id:
        shown["id"] = part.id[:200]
    if part.name:
        shown["name"] = part.name[:200]
    key = {"tool_call": "arguments", "tool_call_response": "result"}.get(part.type, "content")
    return {**shown, key: words_as(content, part.words)}


def _bounded(text: str) -> str:
    return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}[cut: {len(text)} characters]"
