"""Which parts of a Markdown text are code: there nobody is mentioned, and nothing may be changed.

Lines and backticks only, as CommonMark has fences and code spans. Where it could be both, it is not code: then a
name is not called by mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_fence = re.compile(r" {0,3}(?:(`{3,})([^`\n]*)|(~{3,})([^\n]*))\n?")
_closing = re.compile(r" {0,3}(`{3,}|~{3,})[ \t\r]*\n?")
_line = re.compile(r"[^\n]*\n|[^\n]+")
_ticks = re.compile(r"`+")
_comment = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_quoted = re.compile(r" {0,3}>")


class Fence(NamedTuple):
    """An open block of code: how it is closed, and how it was opened."""

    mark: str
    opening: str

    def is_closed_by(self, line: str) -> bool:
        """Whether `line` ends it."""
        found = _closing.fullmatch(line)
        return found is not None and found[1].startswith(self.mark)


class Piece(NamedTuple):
    """A stretch of the text. All of them together are the text."""

    text: str
    is_code: bool


def lines(text: str) -> list[str]:
    """The lines of `text`, each with its end."""
    return _line.findall(text)


def fence_after(fence: Fence | None, line: str) -> Fence | None:
    """The block of code that is open behind `line`, when `fence` was before it."""
    if fence is not None:
        return None if fence.is_closed_by(line) else fence
    found = _fence.fullmatch(line)
    return Fence(found[1] or found[3], line.rstrip("\r\n")) if found else None


def pieces(text: str) -> Iterator[Piece]:
    """Code and not code, in order."""
    for block, is_code in _blocks(text):
        if is_code:
            yield Piece(block, True)
        else:
            yield from _spans(block)


def words(text: str) -> str:
    """What its author says themselves: without code, quotations and what is hidden."""
    said = "".join(" " if piece.is_code else piece.text for piece in pieces(text))
    said = _comment.sub(" ", said)
    return "\n".join(line for line in said.split("\n") if not _quoted.match(line))


def _blocks(text: str) -> Iterator[tuple[str, bool]]:
    fence: Fence | None = None
    held: list[str] = []
    is_code = False
    for line in lines(text):
        after = fence_after(fence, line)
        is_part = fence is not None or after is not None
        # A paragraph ends a code span, so each one is looked at alone.
        if held and (is_part != is_code or not (is_part or line.strip())):
            yield "".join(held), is_code
            held = []
        held.append(line)
        fence, is_code = after, is_part
    if held:
        yield "".join(held), is_code


def _spans(block: str) -> Iterator[Piece]:
    """Runs of as many backticks enclose code; one without its like is plain."""
    runs = list(_ticks.finditer(block))
    # The last place of each length tells at once that a run has no partner: long texts stay cheap.
    last = {len(run[0]): run.start() for run in runs}
    at = n = 0
    while n < len(runs):
        size = len(runs[n][0])
        if last[size] == runs[n].start():
            n += 1
            continue
        end = next(m for m in range(n + 1, len(runs)) if len(runs[m][0]) == size)
        yield Piece(block[at : runs[n].start()], False)
        yield Piece(block[runs[n].start() : runs[end].end()], True)
        at, n = runs[end].end(), end + 1
    yield Piece(block[at:], False)
