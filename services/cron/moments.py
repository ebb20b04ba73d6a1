"""A single time, as people write it."""

from __future__ import annotations

from datetime import datetime

from services.cron.times import BadTimes, zone_of
from services.errors import Invalid

_FORM = "must be epoch milliseconds, or a time such as 2026-12-24T18:00 or 2026-12-24T18:00:00+01:00"


def moment_of(given: int | str | datetime, tz: str) -> int:
    """Epoch milliseconds. A time without an offset is what the clock of `tz` shows. Raises: Invalid."""
    if isinstance(given, int):
        if given < 1:
            raise Invalid("at", _FORM)
        return given
    try:
        at = datetime.fromisoformat(given) if isinstance(given, str) else given
        local = at if at.tzinfo else at.replace(tzinfo=zone_of(tz))
        moment = int(local.timestamp()) * 1000
    except BadTimes as error:
        raise Invalid(error.field, error.reason) from None
    except (ValueError, OverflowError, OSError):
        raise Invalid("at", _FORM) from None
    if moment < 1:
        raise Invalid("at", _FORM)
    return moment
