"""When a cron expression is due in a time zone. The arithmetic is cronsim's, with the rules of Debian's cron.

A time of day that the clock skips in spring runs once right after the gap, one that it shows twice in autumn runs
the first time only; where hours or minutes begin with `*`, what counts is what the clock shows. Times are epoch
milliseconds of whole minutes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim, CronSimError

CRON_LIMIT = 200
NAMED = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# Clocks are set by an hour or two; where the date line was moved, by a day.
_SHIFT, _LONGEST_SHIFT = timedelta(hours=3), timedelta(hours=25)
_HOUR, _DAY, _MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
_MILLISECOND = timedelta(milliseconds=1)
_DAYS_AHEAD = 50 * 366
# Files beside the zones: other ones, or none, on other machines. The clock of `right` counts leap seconds.
_of_one_machine = re.compile(r"(posix|right)/.*|localtime|posixrules|Factory")


class BadTimes(ValueError):
    """An expression or a zone that can not be read; `field` is `cron` or `tz`, the text says what is wrong."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field, self.reason = field, reason


class Times(msgspec.Struct, frozen=True):
    """The due times of `cron`, five fields or a name such as `@daily`, in the zone `tz`."""

    cron: str
    tz: str

    def after(self, at_ms: int) -> int | None:
        """The first due time later than `at_ms`; None when there is none within 50 years. Raises: BadTimes."""
        return _after(self.cron, self.tz, at_ms)

    def last(self, at_ms: int) -> int | None:
        """The last due time at or before `at_ms`; None when there is none within 50 years. Raises: BadTimes."""
        zone, local = _local(self.tz, at_ms)
        found = _next(_sim(self.cron, local + timedelta(seconds=1), reverse=True))
        if found is None:
            return None
        is_set = _is_set_about(zone, _ms(local)) or _is_set_about(zone, _ms(found))
        if not is_set and not _is_odd(zone) and found.utcoffset() == local.utcoffset():
            return _ms(found)
        # Backwards the rules for clocks that are set do not hold: from before that on, forwards.
        back = 2 * (_LONGEST_SHIFT if is_set else _SHIFT)
        last = None
        for due in self.between(min(_ms(found), at_ms) - back // _MILLISECOND, at_ms):
            last = due
        return last

    def between(self, after_ms: int, until_ms: int) -> Iterator[int]:
        """The due times later than `after_ms`, up to `until_ms`. Raises: BadTimes."""
        zone, local = _local(self.tz, after_ms)
        sim = _sim(self.cron, local)
        last = after_ms
        for found in _by_minutes(sim, local) if _is_odd(zone) and sim.fixup_tz is None else _ahead(sim):
            due = _ms(found)
            if due > until_ms:
                return
            # What the clock shows for the second time comes before what was due in between.
            if due > last:
                last = due
                yield due


def check_times(cron: str, tz: str) -> None:
    """Refuse what can not be read or kept, and what is never due. Raises: BadTimes."""
    if len(cron) > CRON_LIMIT:
        raise BadTimes("cron", f"must not be longer than {CRON_LIMIT} characters")
    if Times(cron, tz).after(0) is None:
        raise BadTimes("cron", "is never due")


def zone_of(name: str) -> ZoneInfo:
    """The time zone of that name in the IANA database. Raises: BadTimes."""
    return _zone(name)


@lru_cache(maxsize=4096)
def _after(cron: str, tz: str, at_ms: int) -> int | None:
    return next(Times(cron, tz).between(at_ms, 2**62), None)


@lru_cache(maxsize=512)
def _zone(name: str) -> ZoneInfo:
    try:
        if not _of_one_machine.fullmatch(name):
            return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        pass
    raise BadTimes("tz", "is not a time zone such as Europe/Berlin or UTC")


def _local(tz: str, at_ms: int) -> tuple[ZoneInfo, datetime]:
    zone = _zone(tz)
    try:
        return zone, datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(zone)
    except (OverflowError, ValueError, OSError):
        raise BadTimes("cron", "is asked for a time that no calendar has") from None


def _sim(cron: str, start: datetime, *, reverse: bool = False) -> CronSim:
    fields = NAMED.get(cron.strip().lower(), cron).split()
    if len(fields) != 5:
        names = ", ".join(NAMED)
        raise BadTimes("cron", f"must have five fields (minute hour day month weekday), or be one of {names}")
    try:
        return CronSim(" ".join(fields), start, reverse=reverse)
    except CronSimError as error:
        # cronsim says "Bad minute" and the like.
        raise BadTimes("cron", f"can not be read: {str(error).lower()}") from None


def _ahead(sim: CronSim) -> Iterator[datetime]:
    while (found := _next(sim)) is not None:
        yield found


def _by_minutes(sim: CronSim, after: datetime) -> Iterator[datetime]:
    """As cronsim would: but where clocks are set by half an hour it goes on in hours that begin at half past, and
    loses what is due in their first half. Every minute of the days that fit is looked at instead."""
    zone, day = after.tzinfo, after.date()
    for _ in range(_DAYS_AHEAD):
        if day.month in sim.months and sim.match_day(day):
            at = datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
            while (local := at.astimezone(zone)).date() <= day:
                if local.date() == day and local.hour in sim.hours and local.minute in sim.minutes:
                    yield local
                at += _MINUTE
        if day >= date.max - 2 * _DAY:
            return
        day += _DAY


def _is_set_about(zone: ZoneInfo, at_ms: int) -> bool:
    """Whether its clocks are set within a day or so of a time."""
    at = datetime.fromtimestamp(at_ms // 1000, UTC)
    before, after = ((at + shift).astimezone(zone) for shift in (-_LONGEST_SHIFT, _LONGEST_SHIFT))
    return before.utcoffset() != after.utcoffset()


@lru_cache(maxsize=1024)
def _is_odd(zone: ZoneInfo) -> bool:
    """Whether its clocks are ever set by anything but whole hours."""
    months = [datetime(year, month, 15, tzinfo=zone) for year in range(1970, 2040) for month in range(1, 13)]
    offsets = [each.utcoffset() or timedelta() for each in months]
    return any((new - old) % _HOUR for old, new in pairwise(offsets))


def _next(sim: CronSim) -> datetime | None:
    """None after 50 years without any, or where the calendar ends."""
    try:
        return next(sim)
    except (StopIteration, OverflowError, ValueError):
        return None


def _ms(at: datetime) -> int:
    return int(at.timestamp()) * 1000
