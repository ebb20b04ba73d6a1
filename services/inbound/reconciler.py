"""When GitHub's log of deliveries is looked through, and by whom: one process of all that may.

By the clock of the store: hosts whose own ones differ would look again and again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import msgspec

from services.channels.brief import Brief
from services.channels.contract import Sending
from services.errors import TurnwrightError
from services.sessions.reconciling import MORE, Reconciled, Reconciling, Turn

EVERY_S = 300.0
# After one that left something behind only because it was long enough.
SOON_S = 60.0
POLL_S = 1.0
# How long stopping waits for a look to write down how far it came.
STOPPING_S = 3.0


class Look(Protocol):
    """One look for what was never seen `before`, and what became of it. Raises: TurnwrightError."""

    def __call__(
        self, before: Reconciled, rest: bytes, *, sending: Sending, keep: Callable[[], None]
    ) -> tuple[Reconciled, bytes]: ...


class Reconciler:
    """Looks every `every_s`, and when somebody asks for it, in one process of all that run one."""

    def __init__(
        self,
        look: Look,
        reconciling: Reconciling,
        *,
        failed: Callable[[TurnwrightError], None],
        every_s: float = EVERY_S,
        poll_s: float = POLL_S,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self._look, self._reconciling, self._failed = look, reconciling, failed
        self._every_s, self._poll_s, self._now_ms = every_s, poll_s, now_ms or reconciling.now_ms
        self._stop, self._sending = threading.Event(), Brief()
        self._thread = threading.Thread(target=self._run, name="reconcile", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End a look where it is; what it did not take in comes with the next one."""
        self._stop.set()
        self._sending.cancel()
        if self._thread.is_alive():
            self._thread.join(STOPPING_S)

    def _run(self) -> None:
        while not self._stop.wait(self._poll_s):
            try:
                self.round()
            except TurnwrightError as error:
                self._failed(error)
                self._stop.wait(self._poll_s * 5)

    def round(self) -> None:
        """Look if it is time to. Raises: TurnwrightError."""
        turn = self._reconciling.turn()
        if not self._is_time() or not turn.take():
            return
        try:
            # Somebody may have looked just now.
            if self._is_time():
                self._go(turn)
        finally:
            turn.leave()

    def _go(self, turn: Turn) -> None:
        began, before = self._now_ms(), self._reconciling.state()
        result, rest = self._look(before, self._reconciling.rest(), sending=self._sending, keep=turn.keep)
        self._reconciling.told(msgspec.structs.replace(result, looked_at=began, answered=before.asked), rest)

    def _is_time(self) -> bool:
        now = self._reconciling.state()
        every_s = min(SOON_S, self._every_s) if now.error == MORE else self._every_s
        is_old = now.looked_at is None or self._now_ms() - now.looked_at >= every_s * 1000
        return is_old or now.asked > now.answered
