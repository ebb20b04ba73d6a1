"""The hidden line at the end of every comment of ours, by which it is found again.

Only the last line counts: whatever a model or a person writes stands before it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_marker = re.compile(r"<!-- turnwright:([a-z0-9_-]{1,80}):(\d{1,4})/(\d{1,4}) -->\s*\Z", re.ASCII)

# A mark and what may stand behind it.
_LONGEST = 200


class Mark(NamedTuple):
    """Part `part` of the `of` parts that carry `marker`, counted from 1."""

    marker: str
    part: int
    of: int


def marked(text: str, mark: Mark) -> str:
    """`text` as the body of a comment that carries `mark`."""
    return f"{text}\n\n<!-- turnwright:{mark.marker}:{mark.part}/{mark.of} -->"


def unmarked(body: str) -> str:
    """`body` without the mark at its end."""
    found = _marker.search(body, max(0, len(body) - _LONGEST))
    return body[: found.start()].rstrip() if found else body


def mark_of(body: str) -> Mark | None:
    """The mark that a comment ends with. Whether we wrote it is another question."""
    found = _marker.search(body, max(0, len(body) - _LONGEST))
    return Mark(found[1], int(found[2]), int(found[3])) if found else None
