"""The built-in tool `clock`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from services.tools.contract import Tool, ToolError, tool

ZoneName = Annotated[str, msgspec.Meta(description="IANA name such as Europe/Vienna", max_length=100)]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What the clock says. `time` is ISO 8601 with its offset from UTC."""

    time: str
    timezone: str
    weekday: str


def _now() -> datetime:
    return datetime.now(UTC)


def clock_tool(now: Callable[[], datetime] = _now) -> Tool:
    """The tool `clock`, telling the time that `now` (aware) gives."""

    @tool(effect="read_only", timeout_s=5)
    def clock(timezone: ZoneName = "UTC") -> Reading:
        """Tell the current date and time, by default in UTC."""
        here = now().astimezone(_zone(timezone))
        return Reading(
            time=here.isoformat(timespec="seconds"), timezone=timezone, weekday=here.strftime("%A")
        )

    return clock


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ToolError(f"unknown time zone {name!r}; use an IANA name such as 'Europe/Vienna'") from None
