"""When an expression is due, worked out in another way: by asking of every minute what the clock shows in it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
_RANGES = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 7)}


def due_times(cron: str, tz: str, after: datetime, until: datetime) -> list[datetime]:
    """Every due time in UTC later than `after`, up to `until`."""
    fields = cron.split()
    is_fixed = not fields[0].startswith("*") and not fields[1].startswith("*") and tz != "UTC"
    found = _by_calendar(cron, tz, after, until) if is_fixed else _by_clock(cron, tz, after, until)
    return sorted(found)


def _by_clock(cron: str, tz: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """What the clock shows counts, minute by minute."""
    zone = ZoneInfo(tz)
    at = after.replace(second=0, microsecond=0) + MINUTE
    while at <= until:
        if _fits(cron, at.astimezone(zone)):
            yield at
        at += MINUTE


def _by_calendar(cron: str, tz: str, after: datetime, until: datetime) -> set[datetime]:
    """Every time of the calendar counts once: one that no clock shows right after the gap, one shown twice at first."""
    zone = ZoneInfo(tz)
    found = set()
    local = (after - timedelta(days=2)).replace(second=0, microsecond=0, tzinfo=None)
    while local <= until.replace(tzinfo=None) + timedelta(days=2):
        if _fits(cron, local):
            at = _shown(local, zone)
            if after < at <= until:
                found.add(at)
        local += MINUTE
    return found


def _shown(local: datetime, zone: ZoneInfo) -> datetime:
    while True:
        at = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if at.astimezone(zone).replace(tzinfo=None) == local:
            return at
        local += MINUTE


def _fits(cron: str, local: datetime) -> bool:
    minute, hour, day, month, weekday = cron.split()
    if not (
        _has(minute, "minute", local.minute)
        and _has(hour, "hour", local.hour)
        and _has(month, "month", local.month)
    ):
        return False
    by_day = _has(day, "day", local.day)
    number = local.isoweekday()
    by_weekday = _has(weekday, "weekday", number) or (number == 7 and _has(weekday, "weekday", 0))
    if day.startswith("*") or weekday.startswith("*"):
        return by_day and by_weekday
    return by_day or by_weekday


def _has(field: str, name: str, value: int) -> bool:
    return any(_in(part, name, value) for part in field.split(","))


def _in(part: str, name: str, value: int) -> bool:
    span, _, step = part.partition("/")
    low, high = _RANGES[name]
    if span != "*":
        first, _, last = span.partition("-")
        low, high = int(first), int(last) if last else (high if step else int(first))
    return low <= value <= high and (value - low) % int(step or 1) == 0
