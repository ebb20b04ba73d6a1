"""Where the keys and tables of a TOML document are: its lines, which tomllib does not give.

Reads documents that tomllib accepted. A key within an inline table or array counts to the line of
the key that holds it.
"""

from __future__ import annotations

import re
import tomllib

KeyPath = tuple[str | int, ...]

_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:\\.|[^"\\\n])*"|'[^'\n]*'""")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_VALUE_PART = re.compile(
    r'''"""(?:\\.|[^\\])*?"""(?:"{0,2})'''
    r"""|\'\'\'.*?\'\'\'(?:'{0,2})"""
    r'''|"(?:\\.|[^"\\\n])*"'''
    r"""|'[^'\n]*'"""
    r"""|\#[^\n]*|[\[{]|[\]}]|\n|[^"'\#\[\]{}\n]+""",
    re.DOTALL,
)


class LineMap:
    """Lines of a document, counted from 1, by path: names of tables and keys, indexes of `[[tables]]`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: dict[KeyPath, int] = {(): 1}
        self._counts: dict[KeyPath, int] = {}
        self._read()

    def line_of(self, path: KeyPath) -> int:
        """The line of the longest part of `path` that the document has on a line of its own."""
        while path not in self._lines:
            path = path[:-1]
        return self._lines[path]

    def _read(self) -> None:
        table: KeyPath = ()
        at, line, seen = 0, 1, 0
        while (at := _end(_BLANK, self._text, at)) < len(self._text):
            line, seen = line + self._text.count("\n", seen, at), at
            if self._text.startswith("[[", at):
                names, at = self._names(at + 2)
                table, at = self._next_of(self._resolve(names[:-1]) + names[-1:]), at + 2
                self._record(table, line)
            elif self._text.startswith("[", at):
                names, at = self._names(at + 1)
                table, at = self._resolve(names), at + 1
                self._record(table, line)
            else:
                names, at = self._names(at)
                self._record(table + names, line)
                at = self._after_value(at + 1)

    def _names(self, at: int) -> tuple[KeyPath, int]:
        """The parts of the key at `at`, and where the sign behind it is."""
        names: list[str] = []
        while True:
            at = _end(_SPACE, self._text, at)
            end = _end(_KEY, self._text, at)
            names.append(_unquoted(self._text[at:end]))
            at = _end(_SPACE, self._text, end)
            if not self._text.startswith(".", at):
                return tuple(names), at
            at += 1

    def _resolve(self, names: KeyPath) -> KeyPath:
        """A header's path; the name of an array of tables means its latest one."""
        path: KeyPath = ()
        for name in names:
            path += (name,)
            if path in self._counts:
                path += (self._counts[path] - 1,)
        return path

    def _next_of(self, array: KeyPath) -> KeyPath:
        self._counts[array] = self._counts.get(array, 0) + 1
        return (*array, self._counts[array] - 1)

    def _record(self, path: KeyPath, line: int) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], line)
        self._lines[path] = line

    def _after_value(self, at: int) -> int:
        depth = 0
        while at < len(self._text):
            end = _end(_VALUE_PART, self._text, at)
            sign = self._text[at]
            if sign == "\n" and depth == 0:
                return at
            depth += (sign in "[{") - (sign in "]}")
            at = end
        return at


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    found = pattern.match(text, at)
    if found is None:
        raise ValueError("not a TOML document")
    return found.end()


def _unquoted(key: str) -> str:
    return str(tomllib.loads(f"key = {key}")["key"]) if key[0] in "\"'" else key
