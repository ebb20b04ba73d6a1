"""A request in the words of chat completions.

Source: https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from services.llm.provider import ChatMessage, ChatRequest
from services.llm.vendors.sendable import object_of, sendable_id, sendable_name

if TYPE_CHECKING:
    from openai.types.chat import (
        ChatCompletionAssistantMessageParam,
        ChatCompletionFunctionToolParam,
        ChatCompletionMessageParam,
    )


def messages_of(request: ChatRequest) -> list[ChatCompletionMessageParam]:
    """The history. Texts that follow one another in one role are joined: many chat templates demand it."""
    messages: list[ChatCompletionMessageParam] = []
    if request.system:
        messages.append({"role": "system", "content": request.system})
    for message in _joined(request.messages):
        match message.role:
            case "user":
                messages.append({"role": "user", "content": message.text})
            case "assistant":
                messages.append(_assistant(message))
            case "tool":
                messages.append(
                    {"role": "tool", "tool_call_id": sendable_id(message.call_id), "content": message.text}
                )
    return messages


def tools_of(request: ChatRequest) -> list[ChatCompletionFunctionToolParam]:
    """The tools the model may call."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": msgspec.json.decode(tool.parameters, type=dict[str, object]),
            },
        }
        for tool in request.tools
    ]


def _assistant(message: ChatMessage) -> ChatCompletionAssistantMessageParam:
    said: ChatCompletionAssistantMessageParam = {"role": "assistant"}
    if message.text or not message.tool_calls:
        said["content"] = message.text
    if message.tool_calls:
        said["tool_calls"] = [
            {
                "type": "function",
                "id": sendable_id(call.id),
                "function": {"name": sendable_name(call.name), "arguments": _arguments(call.arguments)},
            }
            for call in message.tool_calls
        ]
    return said


def _arguments(text: str) -> str:
    """The model's own bytes where they are an object, so that a vendor's cache of the prompt is met."""
    parsed = object_of(text)
    is_own = bool(parsed) and "invalid_arguments" not in parsed
    return text if is_own else msgspec.json.encode(parsed).decode()


def _joined(messages: tuple[ChatMessage, ...]) -> list[ChatMessage]:
    joined: list[ChatMessage] = []
    for message in messages:
        last = joined[-1] if joined else None
        if last and last.role == message.role != "tool" and not last.tool_calls:
            text = "\n\n".join(filter(None, (last.text, message.text)))
            joined[-1] = msgspec.structs.replace(message, text=text)
        else:
            joined.append(message)
    return joined
