"""Letting go of what triggers came to more than a week ago, whenever one was written down anew: once a day each."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from services.errors import TurnwrightError
from services.processors.advance import Committed
from services.streams.log import Log
from services.streams.schedule_events import TriggerCondensed


class Trimming:
    """Hears of commits. `failed` hears of what could not be let go of: it goes a day later."""

    def __init__(self, log: Log, *, failed: Callable[[TurnwrightError], None]) -> None:
        self._log, self._failed = log, failed

    def committed(self, done: Committed) -> None:
        """Hear of one; never raises."""
        for one in done.written:
            if one.type == "trigger.condensed":
                kept = msgspec.json.decode(one.payload, type=TriggerCondensed)
                if kept.trims:
                    self._trim(done, kept.trims)

    def _trim(self, done: Committed, before: int) -> None:
        try:
            self._log.trim(done.stream, before=before)
        except TurnwrightError as error:
            self._failed(error)
