"""Tools that end badly: one that takes too long, one with a bug."""

from __future__ import annotations

from turnwright import ToolCall, tool


@tool(effect="write", timeout_s=0.3)
def dawdle(call: ToolCall) -> str:
    """Take longer than allowed."""
    call.wait_cancelled(30)
    return "too late"


@tool(effect="read_only")
def stumble() -> str:
    """Fail in a way nobody foresaw."""
    raise LookupError("secret detail")
