"""Whether the log store can be reached, as far as this process knows: what failed once is not tried by everybody."""

from __future__ import annotations

from collections.abc import Callable

from services.errors import Overloaded, StoreAway, TurnwrightError, Unavailable
from services.logs import get_logger


class Reach:
    """Away from the first failure until `ask`, which raises Unavailable while it is away, was answered.

    Thread-safe; each reason for which it is away is logged once.
    """

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self.is_away = False
        self._reason = ""

    def lost(self, error: TurnwrightError) -> None:
        """Somebody got no answer in time, but `error`."""
        self.is_away = True
        self._note(error)

    def look(self) -> bool:
        """Ask a store that is away whether it is back; whether it is there."""
        if self.is_away:
            try:
                self._ask()
            except (Unavailable, Overloaded) as error:
                self._note(error)
                return False
            self.is_away, self._reason = False, ""
            get_logger("store").info("store_back")
        return True

    def _note(self, error: TurnwrightError) -> None:
        reason = error.reason if isinstance(error, StoreAway) else type(error).__name__
        if reason != self._reason:
            self._reason = reason
            get_logger("store").warning("store_away", reason=reason, told=str(error))
