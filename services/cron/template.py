"""The prompt of a tick: a text with `{date}` and the like filled in, as the clock of the trigger's zone shows it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from string import Formatter

from services.cron.times import zone_of
from services.errors import Invalid

PROMPT_LIMIT = 12_288
FIELDS = ("date", "weekday", "time", "due", "tz", "trigger", "tick")
_control = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_KNOWN = ", ".join(f"{{{name}}}" for name in FIELDS)


def check_prompt(text: str) -> None:
    """Refuse what says nothing, is too long, or can not be filled in. Raises: Invalid."""
    if not text.strip():
        raise Invalid("prompt", "must not be empty")
    if len(text.encode("utf-8", "replace")) > PROMPT_LIMIT:
        raise Invalid("prompt", f"must not be longer than {PROMPT_LIMIT} bytes")
    if _control.search(text):
        raise Invalid("prompt", "must hold no control characters but line ends and tabs")
    for _ in _pieces(text):
        pass


def fill(text: str, *, trigger: str, tick: str, due: int, tz: str) -> str:
    """The prompt of the tick due at `due`, epoch milliseconds. Raises: Invalid, BadTimes."""
    local = datetime.fromtimestamp(due / 1000, UTC).astimezone(zone_of(tz))
    values = {
        "date": local.strftime("%Y-%m-%d"),
        "weekday": local.strftime("%A"),
        "time": local.strftime("%H:%M"),
        "due": local.isoformat(timespec="seconds"),
        "tz": tz,
        "trigger": trigger,
        "tick": tick,
    }
    return "".join(plain + (values[name] if name else "") for plain, name in _pieces(text))


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Plain text, and the name of the field behind it or nothing."""
    try:
        for plain, name, form, conversion in Formatter().parse(text):
            if name is not None and (name not in FIELDS or form or conversion):
                raise Invalid("prompt", f"may name {_KNOWN}; other braces are written twice: {{{{ and }}}}")
            yield plain, name or ""
    except ValueError:
        raise Invalid("prompt", "has a single brace: write {{ or }} for one that stands for itself") from None
