"""Tool calls of one chat completion, joined from their deltas.

OpenAI numbers the calls and names each once, in its first delta. Other servers leave out numbers or ids, give
every call the number 0, or repeat id and name in every delta.
"""

from __future__ import annotations

import msgspec

from services.llm.provider import ProviderError, ToolCallRequest
from services.llm.vendors.sendable import is_object

_ARGUMENT_CHARS = 8 * 1024 * 1024


class FunctionDelta(msgspec.Struct, frozen=True):
    """A part of a call: its name, once, and a part of its JSON arguments."""

    name: str | None = None
    arguments: str | dict[str, object] | None = None

    def text(self) -> str:
        """The arguments as text; some servers send them as an object."""
        if isinstance(self.arguments, dict):
            return msgspec.json.encode(self.arguments).decode()
        return self.arguments or ""


class CallDelta(msgspec.Struct, frozen=True):
    """One entry of `tool_calls` in a chunk."""

    index: int | None = None
    id: str | None = None
    function: FunctionDelta | None = None


class _Open:
    def __init__(self, id: str, name: str) -> None:
        self.id, self.name = id, name
        self.parts: list[str] = []

    def arguments(self) -> str:
        return "".join(self.parts)


class ToolCalls:
    """The calls so far, in order of their beginning."""

    def __init__(self) -> None:
        self._calls: list[_Open] = []
        self._by_index: dict[int, _Open] = {}
        self._room = _ARGUMENT_CHARS

    def add(self, delta: CallDelta) -> None:
        """Put a delta where it belongs. Raises: ProviderError("malformed") over 8 MB."""
        function = delta.function or FunctionDelta()
        call = self._found(delta)
        if call is None or self._is_next(call, delta, function):
            call = _Open(delta.id or "", function.name or "")
            self._calls.append(call)
        if delta.index is not None:
            self._by_index[delta.index] = call
        call.id, call.name = call.id or delta.id or "", call.name or function.name or ""
        text = function.text()
        self._room -= len(text)
        if self._room < 0:
            raise ProviderError("malformed", code="answer_too_large")
        call.parts.append(text)

    def requests(self, *, is_cut: bool) -> tuple[ToolCallRequest, ...]:
        """The calls, in order. `is_cut`: the answer became too long, so the last may have lost its end."""
        calls = self._calls
        if is_cut and calls and not is_object(calls[-1].arguments()):
            calls = calls[:-1]
        return tuple(
            ToolCallRequest(id=call.id, name=call.name, arguments=call.arguments().strip() or "{}")
            for call in calls
        )

    def _found(self, delta: CallDelta) -> _Open | None:
        if delta.index is not None:
            return self._by_index.get(delta.index)
        if delta.id:
            return next((call for call in reversed(self._calls) if call.id == delta.id), None)
        return self._calls[-1] if self._calls else None

    @staticmethod
    def _is_next(call: _Open, delta: CallDelta, function: FunctionDelta) -> bool:
        """Whether the delta begins another call although it has the number, or the id, of one that is there."""
        if not function.name or not call.name:
            return False
        if function.name != call.name or (delta.id and call.id and delta.id != call.id):
            return True
        return bool(function.text()) and is_object(call.arguments())
