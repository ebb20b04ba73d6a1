"""A single time, as people write it."""

from __future__ import annotations

import re
from datetime import datetime

from services.cron.times import BadTimes, zone_of
from services.errors import Invalid

# The year 10000: no calendar here goes further.
END_MS = 253_402_300_800_000
_digits = re.compile(r"-?[0-9]{1,18}")
_FORM = "must be epoch milliseconds, or a time such as 2026-12-24T18:00 or 2026-12-24T18:00:00+01:00"


def moment_of(given: int | str, tz: str) -> int:
    """Epoch milliseconds of a whole second, as ticks are named by it. A time without an offset is what the clock of
    `tz` shows. Raises: Invalid."""
    try:
        moment = given // 1000 if isinstance(given, int) else _seconds(given, tz)
    except BadTimes as error:
        raise Invalid(error.field, error.reason) from None
    except (ValueError, OverflowError, OSError):
        raise Invalid("at", _FORM) from None
    if moment < 1:
        raise Invalid("at", _FORM)
    if moment * 1000 >= END_MS:
        raise Invalid("at", "must be before the year 10000")
    return moment * 1000


def moment_in(text: str, tz: str) -> int:
    """The same of what a file says, where digits alone are epoch milliseconds. Raises: Invalid."""
    return moment_of(int(text) if _digits.fullmatch(text) else text, tz)


def _seconds(given: str, tz: str) -> int:
    at = datetime.fromisoformat(given)
    return int((at if at.tzinfo else at.replace(tzinfo=zone_of(tz))).timestamp())
