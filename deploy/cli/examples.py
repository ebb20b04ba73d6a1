"""Command lines that show how a command is used, at the end of its help."""

from __future__ import annotations


def examples(*lines: str) -> str:
    """The epilog of a command: `lines` as one would type them, not wrapped."""
    # Click leaves a paragraph that begins with \b as it is.
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))
