"""What is done beside the work and waited for by nobody: signs of life, best effort, forgotten where they fail."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from services.channels.contract import DeliveryError
from services.errors import TurnwrightError

MOST_WAITING = 200
# Whoever hangs holds back only what nobody waits for; so many may before the rest does.
THREADS = 2


class Aside:
    """Runs steps in threads of its own, made with the first step. What comes when too much waits is left out."""

    def __init__(self, *, most: int = MOST_WAITING, threads: int = THREADS) -> None:
        self._steps: queue.Queue[Callable[[], object]] = queue.Queue(most)
        self._left, self._lock = threads, threading.Lock()

    def do(self, step: Callable[[], object]) -> bool:
        """Let `step` run soon; answers whether it will."""
        try:
            self._steps.put_nowait(step)
        except queue.Full:
            return False
        with self._lock:
            if self._left:
                self._left -= 1
                threading.Thread(target=self._run, name="aside", daemon=True).start()
        return True

    def _run(self) -> None:
        while True:
            step = self._steps.get()
            try:
                step()
            except (DeliveryError, TurnwrightError):
                # Shown or not, the work goes on.
                continue
