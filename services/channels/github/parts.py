"""A text as comments GitHub takes: split where a reader would, blocks of code closed and opened again.

The same text always gives the same parts: an attempt that goes on where another one ended relies on it.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.channels.github.fences import Fence, fence_after, lines
from services.channels.github.mentions import without_calls

# GitHub takes 65,536 characters; the mark and a closing fence come on top of a part.
PART_LIMIT = 60_000
_LEAST = 2_000
# Half a million characters are read by nobody, and GitHub counts comments per minute.
PARTS = 8
CUT = "\n\n*The rest is too long for comments; the session has all of it.*"


def parts_of(text: str, *, author: str = "", limit: int = PART_LIMIT) -> Sequence[str]:
    """`text` in order, each part at most `limit` characters, calling nobody but `author`. At least one, none empty.

    What is more than `PARTS` parts is cut off, and the last one says so.
    """
    found = _calm_parts(text, author=author, limit=limit, spares_code=True)
    if any(len(each) > limit for each in found):
        # Code that was torn apart is none, and so many names came to light in it that a comment got too long.
        found = _calm_parts(text, author=author, limit=limit, spares_code=False)
    return found


def _calm_parts(text: str, *, author: str, limit: int, spares_code: bool) -> list[str]:
    calm = without_calls(text.strip("\n"), author=author, spares_code=spares_code)
    found = [each for each in _split(calm, limit - len(CUT)) if each.strip()] or ["…"]
    if len(found) > PARTS:
        found = [*found[: PARTS - 1], found[PARTS - 1] + CUT]
    # A split may have torn a span of code apart: then a name in it is one that could be called.
    return [without_calls(each, author=author) for each in found]


def _split(text: str, limit: int) -> list[str]:
    found: list[str] = []
    held: list[str] = []
    size = 0
    fence: Fence | None = None
    for line in _bounded(lines(text), limit // 2):
        if held and size + len(line) + _closing(fence) > limit:
            kept = _breakable(held, fence)
            found.append(_closed("".join(held[:kept]), fence))
            held = [*_opening(fence), *held[kept:]]
            size = sum(map(len, held))
        held.append(line)
        size += len(line)
        fence = fence_after(fence, line)
    found.append(_closed("".join(held), fence))
    return found


def _bounded(given: list[str], limit: int) -> list[str]:
    """The lines, those that are too long for any part broken at a space where there is one."""
    short: list[str] = []
    for line in given:
        while len(line) > limit:
            at = line.rfind(" ", limit // 2, limit) + 1 or limit
            short.append(line[:at])
            line = line[at:]
        short.append(line)
    return short


def _breakable(held: list[str], fence: Fence | None) -> int:
    """How many of the lines to let go: up to the last empty one, unless that is far back or inside of code."""
    if fence is None:
        for at in range(len(held) - 1, len(held) // 2, -1):
            if not held[at].strip() and not _is_inside(held, at):
                return at + 1
    return len(held)


def _is_inside(held: list[str], at: int) -> bool:
    fence: Fence | None = None
    for line in held[:at]:
        fence = fence_after(fence, line)
    return fence is not None


def _closing(fence: Fence | None) -> int:
    return 2 + len(fence.closing) if fence else 0


def _opening(fence: Fence | None) -> list[str]:
    return [fence.opening + "\n"] if fence else []


def _closed(text: str, fence: Fence | None) -> str:
    if fence is None:
        return text.strip("\n")
    return text.rstrip("\n") + "\n" + fence.closing
