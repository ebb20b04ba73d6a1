"""Which blocks Slack takes, for the stand-in: those that an app could mean to use, within their limits.

Source: https://docs.slack.dev/reference/block-kit/blocks
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BLOCKS_LIMIT = 50
MARKDOWN_LIMIT = 12_000
_ID_LIMIT = 255
_BUTTONS_LIMIT, _BUTTON_TEXT_LIMIT, _VALUE_LIMIT = 25, 75, 2_000
_CONTEXT_LIMIT, _TEXT_LIMIT = 10, 3_000


def are_blocks(blocks: object) -> bool:
    """Whether they may be posted, apart from the width of all markdown together."""
    return isinstance(blocks, list) and len(blocks) <= BLOCKS_LIMIT and all(map(_is_block, blocks))


def markdown_width(blocks: list[dict[str, Any]]) -> int:
    """How much of `MARKDOWN_LIMIT` they use up."""
    texts = (each["text"] for each in blocks if each["type"] == "markdown")
    return sum(len(text.encode("utf-16-le")) // 2 for text in texts)


def _is_block(block: object) -> bool:
    match block:
        case {"type": "markdown", "text": str(text), **rest}:
            return bool(text) and _has_only(rest, "block_id")
        case {"type": "actions", "elements": [_, *_] as elements, **rest}:
            ids = {each.get("action_id") for each in elements if isinstance(each, dict)}
            fits = len(elements) <= _BUTTONS_LIMIT and len(ids) == len(elements)
            return fits and all(map(_is_button, elements)) and _has_only(rest, "block_id")
        case {"type": "context", "elements": [_, *_] as elements, **rest}:
            fits = len(elements) <= _CONTEXT_LIMIT
            return (
                fits and all(_is_text(each, _TEXT_LIMIT) for each in elements) and _has_only(rest, "block_id")
            )
        case _:
            return False


def _is_button(element: object) -> bool:
    match element:
        case {"type": "button", "text": text, "action_id": str(id), "value": str(value), **rest}:
            fits = 0 < len(id) <= _ID_LIMIT and len(value) <= _VALUE_LIMIT
            return (
                fits
                and _is_text(text, _BUTTON_TEXT_LIMIT, kinds=("plain_text",))
                and _has_only(rest, "style")
            )
        case _:
            return False


def _is_text(text: object, limit: int, *, kinds: tuple[str, ...] = ("plain_text", "mrkdwn")) -> bool:
    match text:
        case {"type": str(kind), "text": str(words), **rest}:
            return kind in kinds and 0 < len(words) <= limit and _has_only(rest, "emoji")
        case _:
            return False


def _has_only(rest: Mapping[Any, object], *names: str) -> bool:
    return not rest.keys() - set(names)
