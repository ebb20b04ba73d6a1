"""A request in the words of Anthropic's messages.

Source: https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from services.llm.provider import ChatMessage, ChatRequest
from services.llm.vendors.sendable import object_of, sendable_id, sendable_name

if TYPE_CHECKING:
    from anthropic.types import (
        AssistantMessageParam,
        MessageParam,
        TextBlockParam,
        ToolParam,
        ToolResultBlockParam,
        ToolUseBlockParam,
        UserMessageParam,
    )

    _Block = TextBlockParam | ToolResultBlockParam | ToolUseBlockParam

# Texts without a letter and conversations that the model began are refused.
_NOTHING = "(empty)"
_BEFORE = "(The conversation began earlier.)"


def messages_of(request: ChatRequest) -> list[MessageParam]:
    """The history as messages of alternating roles: what a role says in a row is one message of many blocks.

    So all results of an answer's tool calls are in the one message that must follow it.
    """
    messages: list[MessageParam] = []
    for is_answer, said in groupby(request.messages, lambda message: message.role == "assistant"):
        blocks = [block for message in said for block in _blocks_of(message)]
        if is_answer and not messages:
            messages.append(_user(_BEFORE))
        messages.append(_assistant(blocks) if is_answer else _user(blocks))
    return messages


def tools_of(request: ChatRequest) -> list[ToolParam]:
    """The tools the model may call."""
    return [
        {
            "name": tool.name,
            "description": tool.description,
            "input_schema": msgspec.json.decode(tool.parameters, type=dict[str, object]),
        }
        for tool in request.tools
    ]


def _user(content: str | list[_Block]) -> UserMessageParam:
    return {"role": "user", "content": content}


def _assistant(content: list[_Block]) -> AssistantMessageParam:
    return {"role": "assistant", "content": content}


def _blocks_of(message: ChatMessage) -> list[_Block]:
    if message.role == "tool":
        return [_result(message)]
    blocks: list[_Block] = []
    if message.text.strip() or not message.tool_calls:
        blocks.append({"type": "text", "text": message.text if message.text.strip() else _NOTHING})
    for call in message.tool_calls:
        blocks.append(
            {
                "type": "tool_use",
                "id": sendable_id(call.id),
                "name": sendable_name(call.name),
                "input": object_of(call.arguments),
            }
        )
    return blocks


def _result(message: ChatMessage) -> ToolResultBlockParam:
    result: ToolResultBlockParam = {"type": "tool_result", "tool_use_id": sendable_id(message.call_id)}
    if message.text.strip():
        result["content"] = message.text
    return result
