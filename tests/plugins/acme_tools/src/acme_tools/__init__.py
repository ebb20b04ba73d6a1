"""Example tools, one of each kind: reading, writing, and a slow one that heeds a cancel."""

from __future__ import annotations

import os
from typing import Annotated

from msgspec import Meta

from turnwright import ToolCall, ToolError, tool

_CAPITALS = {"austria": "Vienna", "france": "Paris", "japan": "Tokyo"}


@tool(effect="read_only", timeout_s=5)
def look_up(country: Annotated[str, Meta(min_length=1, description="English name")]) -> str:
    """Tell the capital of a country."""
    try:
        return _CAPITALS[country.lower()]
    except KeyError:
        raise ToolError(f"no capital is known for {country!r}") from None


@tool(effect="write", timeout_s=10)
def append_note(call: ToolCall, text: Annotated[str, Meta(max_length=10_000)]) -> dict[str, int]:
    """Append a line to the notes file; doing it twice writes two lines."""
    path = os.environ.get("ACME_NOTES")
    if not path:
        raise ToolError("no notes file is configured")
    with open(path, "a", encoding="utf-8") as notes:
        notes.write(f"{call.session}\t{call.call}\t{' '.join(text.split())}\n")
    return {"written": len(text)}


@tool(effect="read_only", timeout_s=120)
def wait(call: ToolCall, seconds: Annotated[float, Meta(ge=0, le=100)]) -> str:
    """Wait, and say how it ended."""
    return "interrupted" if call.wait_cancelled(seconds) else "done"
