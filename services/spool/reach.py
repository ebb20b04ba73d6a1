"""Whether the log store can be reached, as far as this process knows: what failed once is not tried by everybody."""

from __future__ import annotations

from collections.abc import Callable

from services.errors import Overloaded, Unavailable
from services.logs import get_logger


class Reach:
    """Away from the first failure until `ask`, which raises Unavailable while it is away, was answered. Thread-safe."""

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self.is_away = False

    def lost(self) -> None:
        """Somebody got no answer in time."""
        if not self.is_away:
            self.is_away = True
            get_logger("spool").warning("store_away")

    def look(self) -> bool:
        """Ask a store that is away whether it is back; whether it is there."""
        if self.is_away:
            try:
                self._ask()
            except (Unavailable, Overloaded):
                return False
            self.is_away = False
            get_logger("spool").info("store_back")
        return True
