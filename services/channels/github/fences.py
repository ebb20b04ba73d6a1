"""Blocks of code, line by line: where CommonMark has fences, and where nobody can tell without knowing the rest.

Lists and HTML decide whether a line is a fence. Where they leave a doubt, nothing behind it counts as code.
Source: https://spec.commonmark.org
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

# Prose may have code spans, plain text has nothing to tell.
Kind = Literal["code", "prose", "plain"]

_DEEP = 4
_line = re.compile(r"[^\n]*\n|[^\n]+")
# Other numbers do not begin a list within a paragraph.
_opener = re.compile(r"( {0,3}(?:(?:[-*+]|1[.)]) {1,4})+| *)(`{3,}(?=[^`\n]*\n?\Z)|~{3,})([^\n]*)\n?")
_closer = re.compile(r" *(`{3,}|~{3,})[ \t\r]*\n?")
_like = re.compile(
    r"[ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*(?:\[[ xX]\][ \t]*)?(?:`{3,}[^`\n]*|~{3,}[^\n]*)\n?"
)
_html = re.compile(r"[ \t]*(?:(?:[-*+>]|\d{1,9}[.)])[ \t]+)*<(?:/?[A-Za-z]|[?!](?!--))")
# HTML that an empty line does not end.
_raw = re.compile(r"[^<]*<(?:pre|script|style|textarea|[?!])", re.IGNORECASE)


class Fence(NamedTuple):
    """An open block of code: its row of signs, in which column, and how it is opened again."""

    mark: str
    column: int
    opening: str

    @property
    def closing(self) -> str:
        """The line that ends it."""
        return " " * self.column + self.mark

    def is_closed_by(self, line: str) -> bool:
        """Whether `line` ends it."""
        found = _closer.fullmatch(line)
        return found is not None and found[1].startswith(self.mark) and _indent(line) <= self.column + 3


def lines(text: str) -> list[str]:
    """The lines of `text`, each with its end."""
    return _line.findall(text)


def fence_after(fence: Fence | None, line: str) -> Fence | None:
    """The block of code that is open behind `line`, when `fence` was before it."""
    if fence is not None:
        return None if fence.is_closed_by(line) else fence
    found = _opener.fullmatch(line)
    if found is None:
        return None
    before, mark, rest = found.groups()
    return Fence(mark, len(before), " " * len(before) + mark + rest.rstrip("\r"))


class Blocks:
    """Tells of one line after the other what it is."""

    def __init__(self) -> None:
        self._fence: Fence | None = None
        self._is_html = self._is_doubtful = False

    def kind_of(self, line: str) -> Kind:
        """What `line` is, the next one of a text."""
        if self._is_doubtful:
            return "plain"
        if self._fence is not None:
            return self._inside(self._fence, line)
        if self._is_html:
            self._is_html = bool(line.strip())
            return self._doubtful() if _like.fullmatch(line) else "plain"
        if _html.match(line):
            self._is_html = True
            return self._doubtful() if _raw.match(line) else "plain"
        # With a bar in it, the line may be the head of a table.
        self._fence = None if "|" in line else fence_after(None, line)
        if self._fence is not None:
            return _kind(self._fence)
        return self._doubtful() if _like.fullmatch(line) else "prose"

    def _inside(self, fence: Fence, line: str) -> Kind:
        """A fence in a list ends with the list too, and whether it is in one is told by lines further left."""
        if fence.is_closed_by(line) and (not fence.column or _indent(line) == fence.column):
            self._fence = None
        elif fence.column and line.strip() and (_indent(line) < fence.column or fence.is_closed_by(line)):
            return self._doubtful()
        return _kind(fence)

    def _doubtful(self) -> Kind:
        self._is_doubtful = True
        return "plain"


def _kind(fence: Fence) -> Kind:
    # So far to the right it may be no fence at all.
    return "plain" if fence.column >= _DEEP else "code"


def _indent(line: str) -> int:
    line = line.expandtabs(4)
    return len(line) - len(line.lstrip(" "))
