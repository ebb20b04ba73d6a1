"""Which parts of a Markdown text are code: there nobody is mentioned, and nothing may be changed.

Lines and backticks only. What could be read in another way (in a table, a tag, across lines) is not code: a sign too
much in code is better than a name called by mistake.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from services.channels.github.fences import Blocks, Kind, lines

_ticks = re.compile(r"`+")
_comment = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_quoted = re.compile(r" {0,3}>")
# A backtick that is escaped, or part of a tag or an address.
_no_tick = re.compile(r"\\`|<[A-Za-z/!?][^<>]*`")


class Piece(NamedTuple):
    """A stretch of the text. All of them together are the text."""

    text: str
    is_code: bool


def pieces(text: str) -> Iterator[Piece]:
    """Code and not code, in order."""
    for block, kind in _blocks(text):
        if kind == "prose":
            yield from _spans(block)
        else:
            yield Piece(block, kind == "code")


def words(text: str) -> str:
    """What its author says themselves: without code, quotations and what is hidden."""
    said = "".join(" " if piece.is_code else piece.text for piece in pieces(text))
    said = _comment.sub(" ", said)
    return "\n".join(line for line in said.split("\n") if not _quoted.match(line))


def _blocks(text: str) -> Iterator[tuple[str, Kind]]:
    blocks = Blocks()
    held: list[str] = []
    held_as: Kind = "prose"
    for line in lines(text):
        kind = blocks.kind_of(line)
        # A paragraph ends a code span, so each one is looked at alone.
        if held and (kind != held_as or (kind == "prose" and not line.strip())):
            yield "".join(held), held_as
            held = []
        held.append(line)
        held_as = kind
    if held:
        yield "".join(held), held_as


def _spans(block: str) -> Iterator[Piece]:
    """Runs of as many backticks enclose code, each within its line; else nothing of `block` is code."""
    found: list[tuple[int, int]] = []
    is_clear = "`" in block and not _no_tick.search(block)
    at = 0
    for line in lines(block) if is_clear else ():
        spans = _paired(line)
        if spans is None:
            yield Piece(block, False)
            return
        found += ((at + start, at + end) for start, end in spans)
        at += len(line)
    at = 0
    for start, end in found:
        yield Piece(block[at:start], False)
        yield Piece(block[start:end], True)
        at = end
    yield Piece(block[at:], False)


def _paired(line: str) -> list[tuple[int, int]] | None:
    """Where the code spans of a line are; None if a run of backticks has no like, or cells of a table divide one."""
    runs = list(_ticks.finditer(line))
    found: list[tuple[int, int]] = []
    n = 0
    while n < len(runs):
        size = len(runs[n][0])
        end = next((m for m in range(n + 1, len(runs)) if len(runs[m][0]) == size), None)
        if end is None or "|" in line[runs[n].end() : runs[end].start()]:
            return None
        found.append((runs[n].start(), runs[end].end()))
        n = end + 1
    return found
