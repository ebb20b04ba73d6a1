"""A model's markdown, made fit for Slack: cut into parts, code fences kept whole, nobody paged by it.

Pure. The same text gives the same parts in every attempt.
Source: https://docs.slack.dev/reference/block-kit/blocks/markdown-block
"""

from __future__ import annotations

import re
import unicodedata

import msgspec

BLOCK_LIMIT = 12_000
# Room for what closes a code fence and opens it again.
_RESERVE = 160
# A longer line is taken for text: it might have to be cut itself.
_FENCE_LINE = 200
_LANGUAGE = 20
_BACK = 64
_INVISIBLE = "\u200b"

_fence = re.compile(r" {0,3}(`{3,40}|~{3,40})(?![`~])([^\n]*)")
_space = re.compile(r"\s")
_special_mention = re.compile(r"<(?=!(?:channel|here|everyone|group)\b|!subteam\^)", re.IGNORECASE)
# An underscore is no part of a word here: markdown's emphasis is around the mention.
_at_mention = re.compile(r"(?<![^\W_])(?<![@.])@(?=(?:channel|here|everyone)(?![^\W_]))", re.IGNORECASE)


class _Fenced(msgspec.Struct, frozen=True):
    """A stretch of code. Its opening line is from `start` to `inside`, its closing one from `closing` to `end`."""

    start: int
    inside: int
    closing: int
    end: int
    mark: str
    opening: str


def width(text: str) -> int:
    """Its length as Slack's limits are read here: in UTF-16 units, the strictest of the likely readings."""
    return len(text) + sum(char > "\uffff" for char in text)


def unpaged(text: str) -> str:
    """`text` in which nothing notifies a whole channel or group; looks the same to people."""
    return _at_mention.sub("@" + _INVISIBLE, _special_mention.sub("<" + _INVISIBLE, text))


def escaped(text: str) -> str:
    """`text` as it is, for where Slack reads mrkdwn: no link, no mention, no entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def parts(text: str, limit: int = BLOCK_LIMIT) -> list[str]:
    """`text` in as few parts as its blank lines, lines and words allow, each at most `limit` wide.

    Nothing is lost but white space where it was cut; a code fence that was cut is closed and opened again.
    """
    if width(text) <= limit:
        return [text]
    fences = _fences(text)
    slices, start = [], 0
    while start < len(text):
        end = _end(text, start, limit - _RESERVE, fences)
        slices.append(_rendered(text, start, end, fences))
        start = end
    return [each for each in slices if each.strip()]


def _rendered(text: str, start: int, end: int, fences: list[_Fenced]) -> str:
    before, after = _around(fences, start), _around(fences, end)
    # Spaces at the start of a line may mean something, in code and in lists.
    body = text[start:end].strip("\n").rstrip()
    head = f"{before.opening}\n" if before else ""
    tail = f"\n{after.mark}" if after else ""
    return f"{head}{body}{tail}"


def _around(fences: list[_Fenced], at: int) -> _Fenced | None:
    """The code that `at` is in the middle of."""
    return next((each for each in fences if each.inside <= at <= each.closing and at < each.end), None)


def _end(text: str, start: int, room: int, fences: list[_Fenced]) -> int:
    """Where the part that begins at `start` ends, at the best place that leaves it at least half full."""
    furthest = min(len(text), start + room)
    while (over := width(text[start:furthest]) - room) > 0:
        furthest -= (over + 1) // 2
    if furthest == len(text):
        return furthest
    least = start + max(1, (furthest - start) // 2)
    lines = _line_starts(text, least, furthest, fences)
    outside = [at for at in lines if _around(fences, at) is None]
    blank = [at for at in outside if at < len(text) and text[at] == "\n"]
    for candidates in (blank, outside, lines):
        if candidates:
            return candidates[-1]
    for at in range(furthest, least, -1):
        if _space.match(text[at - 1]):
            return _off_fence_line(at, start, fences)
    return _whole(text, _off_fence_line(furthest, start, fences), start)


def _line_starts(text: str, least: int, furthest: int, fences: list[_Fenced]) -> list[int]:
    """Where lines begin, but for those that only close a fence: they stay with what they close."""
    closing = {each.closing for each in fences}
    found, at = [], text.find("\n", least - 1, furthest) + 1
    while at:
        if at not in closing:
            found.append(at)
        at = text.find("\n", at, furthest) + 1
    return found


def _off_fence_line(at: int, start: int, fences: list[_Fenced]) -> int:
    for each in fences:
        for line, end in ((each.start, each.inside), (each.closing, each.end)):
            if line < at < end and line > start:
                return line
    return at


def _whole(text: str, at: int, start: int) -> int:
    """`at`, or a little earlier, so that no character that people see as one is cut."""
    for back in range(min(_BACK, at - start - 1)):
        if not _joins(text[at - back - 1], text[at - back]):
            return at - back
    return at


def _joins(before: str, after: str) -> bool:
    if "\u200d" in (before, after) or (before, after) == ("\r", "\n"):
        return True
    if "\U0001f1e6" <= after <= "\U0001f1ff" and "\U0001f1e6" <= before <= "\U0001f1ff":
        return True
    return unicodedata.category(after) in ("Mn", "Me", "Mc") or "\U0001f3fb" <= after <= "\U0001f3ff"


def _fences(text: str) -> list[_Fenced]:
    found: list[_Fenced] = []
    opened: tuple[int, int, str, str] | None = None
    at = 0
    for line in text.splitlines(keepends=True) if "```" in text or "~~~" in text else ():
        match = _fence.fullmatch(line.rstrip("\r\n")) if len(line) <= _FENCE_LINE else None
        if match is not None and opened is None and "`" not in match[2]:
            opened = (at, at + len(line), match[1], match[1] + _language(match[2]))
        elif match is not None and opened is not None and _closes(opened[2], match):
            found.append(_Fenced(opened[0], opened[1], at, at + len(line), opened[2], opened[3]))
            opened = None
        at += len(line)
    if opened is not None:
        found.append(_Fenced(opened[0], opened[1], len(text), len(text), opened[2], opened[3]))
    return found


def _language(info: str) -> str:
    words = info.split()
    return words[0] if words and len(words[0]) <= _LANGUAGE else ""


def _closes(mark: str, match: re.Match[str]) -> bool:
    return match[1][0] == mark[0] and len(match[1]) >= len(mark) and not match[2].strip()
