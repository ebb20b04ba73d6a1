"""What can only be made once the log store answers, and is made then by a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from services.errors import Overloaded, StoreAway, TurnwrightError, Unavailable
from services.logs import get_logger

T = TypeVar("T")

EVERY_S = 0.5
# What a person has to mend is not asked for as often.
UNUSABLE_EVERY_S = 5.0
_NOT_ASKED = StoreAway("not_asked", "the store was not asked yet")
# Its words may name what only the log should hold.
_UNUSABLE = StoreAway("unusable", "the store can not be used as it is set up: the log of web says why")


class Arrival(Generic[T]):
    """Calls `make` until it made something. Thread-safe.

    `lost` hears of every time it could not, `found` of the one time it could.
    """

    def __init__(
        self,
        make: Callable[[], T],
        *,
        lost: Callable[[TurnwrightError], None],
        found: Callable[[], object],
        every_s: float = EVERY_S,
        unusable_every_s: float = UNUSABLE_EVERY_S,
    ) -> None:
        self._make, self._lost, self._found = make, lost, found
        self._every_s, self._unusable_every_s = every_s, unusable_every_s
        self._made: T | None = None
        self._away, self._problem = _NOT_ASKED, ""
        self._first: Exception | None = None
        self._tried, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="arrival", daemon=True)

    def start(self, *, within_s: float) -> None:
        """Begin; return after the first try, or after `within_s` if that takes longer.

        Raises what ended a first try that was in time, unless it was a store that is away: ConfigurationError,
        Defect. Whatever comes later is tried again.
        """
        self._thread.start()
        self._tried.wait(within_s)
        if self._first is not None:
            self.stop()
            raise self._first

    def stop(self) -> None:
        """Try no more."""
        self._stop.set()

    def get(self) -> T:
        """What was made. Raises: StoreAway while it is not."""
        if self._made is None:
            raise StoreAway(self._away.reason, str(self._away))
        return self._made

    def _run(self) -> None:
        while not self._stop.is_set():
            wait_s = self._try()
            self._tried.set()
            if self._made is not None or self._stop.wait(wait_s):
                return

    def _try(self) -> float:
        """Seconds until the next."""
        try:
            self._made = self._make()
            self._found()
            return 0
        except StoreAway as error:
            return self._away_by(error, self._every_s)
        except (Unavailable, Overloaded) as error:
            return self._away_by(StoreAway("unavailable", str(error)), self._every_s)
        except Exception as error:
            # The edge of this thread: without it nobody would try again.
            if not self._tried.is_set():
                self._first = error
            self._say(str(error) if isinstance(error, TurnwrightError) else type(error).__name__)
            return self._away_by(_UNUSABLE, self._unusable_every_s)

    def _say(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            get_logger("web").error("store_unusable", problem=problem)

    def _away_by(self, away: StoreAway, wait_s: float) -> float:
        self._away = away
        self._lost(away)
        return wait_s
