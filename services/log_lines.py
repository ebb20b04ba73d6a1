"""The shape of a log line: what may be in it, and how it is written as JSON or for a person.

Nothing here raises or shows what a value calls itself: unknown types appear as their type's name.
"""

from __future__ import annotations

import json
import math
import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from services.errors import Refused, TurnwrightError

Line = dict[str, object]

_DROPPED = frozenset(
    {"token", "secret", "authorization", "signature", "body", "text", "payload", "prompt"}
    | {"password", "passwd", "cookie", "credential"}
)
_DROPPED_ENDINGS = ("token", "secret", "signature", "payload", "prompt", "password", "apikey")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_UNQUOTED = re.compile(r"""[^\s"'=\[\]{},]+""")
_TEXT_LIMIT = 1000
_DEPTH_LIMIT = 4
_SIZE_LIMIT = 100
_FRAME_LIMIT = 5
_CAUSE_LIMIT = 3
_ROOT = Path(__file__).parents[1]


def redacted(line: Mapping[str, object]) -> Line:
    """`line` without what its keys call secret or content, and with plain values only."""
    return {key: plain(value) for key, value in line.items() if not _is_dropped(key, value)}


def describe_error(error: BaseException) -> Line:
    """Type and place of `error` and of what caused it; its words only where they are Turnwright's own."""
    line: Line = {"error": _type_name(error), "error_at": _places(error)}
    if isinstance(error, TurnwrightError) and not isinstance(error, Refused):
        line["error_says"] = str(error)
    causes: list[Line] = []
    while (cause := _cause_of(error)) is not None and len(causes) < _CAUSE_LIMIT:
        causes.append({"error": _type_name(cause), "at": _places(cause)})
        error = cause
    return {**line, "caused_by": causes} if causes else line


def as_json(line: Mapping[str, object], created_s: float) -> str:
    """One JSON object in one line, pure ASCII."""
    at = datetime.fromtimestamp(created_s, UTC).isoformat(timespec="milliseconds")
    return json.dumps({"at": at, **line})


def as_console(line: Mapping[str, object], created_s: float) -> str:
    """One line for a person, in local time; whatever could end or colour it is escaped."""
    at = datetime.fromtimestamp(created_s, UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]
    level, component, event = (_shown(line.get(key, "")) for key in ("level", "component", "event"))
    shown = [key for key in line if key not in ("level", "component", "event")]
    facts = "".join(f" {_shown(key)}={_quoted(line[key])}" for key in shown)
    return f"{at} {level:<7} {component}: {event}{facts}"


def plain(value: object, depth: int = 0) -> object:
    """`value` as JSON can hold it: bounded in depth, size and length."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            return value if len(value) <= _TEXT_LIMIT else f"{value[:_TEXT_LIMIT]}…"
        case datetime():
            return value.isoformat()
        case Path():
            return str(value)
        case Mapping() if depth < _DEPTH_LIMIT:
            pairs = [(str(plain(key)), kept) for key, kept in list(value.items())[:_SIZE_LIMIT]]
            return {key: plain(kept, depth + 1) for key, kept in pairs if not _is_dropped(key, kept)}
        case list() | tuple() if depth < _DEPTH_LIMIT:
            return [plain(each, depth + 1) for each in value[:_SIZE_LIMIT]]
    return f"<{type(value).__name__}>"


def _is_dropped(key: str, value: object) -> bool:
    """Numbers stay: `prompt_bytes` and `tokens` count something."""
    if value is None or isinstance(value, bool | int | float):
        return False
    words = [word.lower() for word in _WORD.findall(key)]
    return any(
        word in _DROPPED or word.removesuffix("s") in _DROPPED or word.endswith(_DROPPED_ENDINGS)
        for word in words
    ) or "api_key" in key.lower().replace("-", "_")


def _type_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _cause_of(error: BaseException) -> BaseException | None:
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _places(error: BaseException) -> list[str]:
    """The innermost frames, the one that raised first."""
    frames = list(traceback.walk_tb(error.__traceback__))[-_FRAME_LIMIT:]
    return [
        f"{_short(frame.f_code.co_filename)}:{line} in {frame.f_code.co_name}"
        for frame, line in reversed(frames)
    ]


def _short(file: str) -> str:
    """A path that says where in the code, not where on the disk."""
    path = Path(file)
    if "site-packages" in path.parts:
        return "/".join(path.parts[path.parts.index("site-packages") + 1 :])
    return str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else path.name


def _quoted(value: object) -> str:
    if isinstance(value, str) and _UNQUOTED.fullmatch(value):
        return _shown(value)
    return _shown(json.dumps(value, ensure_ascii=False))


def _shown(value: object) -> str:
    text = str(value)
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
