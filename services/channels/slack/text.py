"""A model's markdown, made fit for Slack: cut into parts, code fences kept whole, nobody paged by it.

Pure. The same text gives the same parts in every attempt.
Source: https://docs.slack.dev/reference/block-kit/blocks/markdown-block
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right

import msgspec

BLOCK_LIMIT = 12_000
TEXT_LIMIT = 40_000
# Room for what closes a code fence and opens it again.
_RESERVE = 160
# A longer line is taken for text: it might have to be cut itself.
_FENCE_LINE = 200
_LANGUAGE = 20
_BACK = 64
_INVISIBLE = "\u200b"

_fence = re.compile(r"(?P<indent> {0,3})(?P<mark>`{3,40}|~{3,40})(?![`~])(?P<info>[^\n]*)")
_space = re.compile(r"\s")
_special_mention = re.compile(r"<(?=!(?:channel|here|everyone|group)\b|!subteam\^)", re.IGNORECASE)
# An underscore is no part of a word here: markdown's emphasis is around the mention.
_at_mention = re.compile(r"(?<![^\W_])(?<![@.])@(?=(?:channel|here|everyone)(?![^\W_]))", re.IGNORECASE)


class _Fenced(msgspec.Struct, frozen=True):
    """A stretch of code. Its opening line is from `start` to `inside`, its closing one from `closing` to `end`.

    `opening` and `ending` are what opens it again and closes it, as far to the right: it may be within a list.
    """

    start: int
    inside: int
    closing: int
    end: int
    opening: str
    ending: str


def width(text: str) -> int:
    """Its length as Slack's limits are read here: in UTF-16 units, the strictest of the likely readings."""
    return len(text) + sum(char > "\uffff" for char in text)


def unpaged(text: str) -> str:
    """`text` in which nothing notifies a whole channel or group; looks the same to people."""
    return _at_mention.sub("@" + _INVISIBLE, _special_mention.sub("<" + _INVISIBLE, text))


def escaped(text: str) -> str:
    """`text` as it is, for where Slack reads mrkdwn: no link, no mention, no entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(text: str) -> str:
    """A part, where Slack reads mrkdwn and takes `TEXT_LIMIT`: as it is, or with a sign that only looks alike."""
    fit = escaped(text)
    return fit if width(fit) <= TEXT_LIMIT else text.replace("<", "\u2039").replace(">", "\u203a")


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
    tail = f"\n{after.ending}" if after else ""
    return f"{head}{body}{tail}"


def _around(fences: list[_Fenced], at: int) -> _Fenced | None:
    """The code that `at` is in the middle of."""
    last = bisect_right(fences, at, key=lambda each: each.inside) - 1
    found = fences[last] if last >= 0 else None
    return found if found is not None and at <= found.closing and at < found.end else None


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
    opened: tuple[int, int, re.Match[str]] | None = None
    at = 0
    for line in text.splitlines(keepends=True) if "```" in text or "~~~" in text else ():
        match = _fence.fullmatch(line.rstrip("\r\n")) if len(line) <= _FENCE_LINE else None
        if match is not None and opened is None and "`" not in match["info"]:
            opened = (at, at + len(line), match)
        elif match is not None and opened is not None and _closes(opened[2], match):
            found.append(_fenced(*opened, closing=at, end=at + len(line)))
            opened = None
        at += len(line)
    if opened is not None:
        found.append(_fenced(*opened, closing=len(text), end=len(text)))
    return found


def _fenced(start: int, inside: int, opened: re.Match[str], *, closing: int, end: int) -> _Fenced:
    ending = opened["indent"] + opened["mark"]
    return _Fenced(start, inside, closing, end, ending + _language(opened["info"]), ending)


def _language(info: str) -> str:
    words = info.split()
    return words[0] if words and len(words[0]) <= _LANGUAGE else ""


def _closes(opened: re.Match[str], match: re.Match[str]) -> bool:
    mark, other = opened["mark"], match["mark"]
    return other[0] == mark[0] and len(other) >= len(mark) and not match["info"].strip()
