"""Letting go of what triggers came to more than a week ago, and of those that were removed. Hears of commits."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from services.errors import TurnwrightError
from services.processors.advance import Committed
from services.schedule.index import Index
from services.schedule.state import TriggerState
from services.streams.log import Log
from services.streams.schedule_events import TriggerCondensed


class Trimming:
    """Hears of commits. `failed` hears of what could not be let go of: it goes a day, of a removed one a week later."""

    def __init__(self, log: Log, *, failed: Callable[[TurnwrightError], None]) -> None:
        self._log, self._failed = log, failed
        self._index = Index(log)

    def committed(self, done: Committed) -> None:
        """Hear of one; never raises."""
        try:
            for one in done.written:
                if one.type == "trigger.condensed":
                    self._condensed(done, msgspec.json.decode(one.payload, type=TriggerCondensed))
            if "trigger.removed" in {one.type for one in done.read} | {one.type for one in done.written}:
                self._index.leave_out(done.stream)
        except TurnwrightError as error:
            self._failed(error)

    def _condensed(self, done: Committed, kept: TriggerCondensed) -> None:
        if kept.trims:
            self._log.trim(done.stream, before=kept.trims)
        if msgspec.json.decode(kept.state, type=TriggerState).definition is None:
            self._index.leave_out(done.stream)
