"""The border to channels that packages bring: their code may raise, hang or exit, and harms only its own letters.

Each call runs in a thread of its own. One that does not come back in time is left behind, as Python can stop no
thread; while too many of a channel are, nothing more of it begins.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from services.logs import get_logger

# Left behind and still running, of one channel in one process.
MOST_STUCK = 16

T = TypeVar("T")


class Broken(Exception):
    """The package's code ended in a way that nobody agreed on; what it said is not told."""


class Stuck(Broken):
    """It did not come back in time and may still be at it."""


class Busy(Exception):
    """Nothing was begun: too much of it is stuck already."""


class Border:
    """Calls the code of the channel `name`. Thread-safe."""

    def __init__(self, name: str, *, most_stuck: int = MOST_STUCK) -> None:
        self._name, self._most_stuck = name, most_stuck
        self._lock, self._stuck = threading.Lock(), 0

    def call(self, step: str, work: Callable[[], T], *, within_s: float, known: type[Exception]) -> T:
        """What `work` returns, within `within_s` seconds. `step` is what the log calls it.

        Raises: what it raises of `known`; Broken for anything else; Busy.
        """
        if self._stuck >= self._most_stuck:
            raise Busy(step)
        called = _Call(work)
        threading.Thread(
            target=contextvars.copy_context().run, args=(called.run, self._freed), name="channel", daemon=True
        ).start()
        if not called.wait(within_s, self._left_behind):
            self._tell(step, "stuck")
            raise Stuck(step)
        if called.error is None:
            return called.result
        if isinstance(called.error, known):
            raise called.error
        self._tell(step, type(called.error).__name__)
        # Its own words may hold secrets, so they are not even kept as the cause.
        raise Broken(step) from None

    def broken(self, step: str) -> Broken:
        """Tell of a value that is not what was agreed on; what to raise."""
        self._tell(step, "no_such_value")
        return Broken(step)

    def _tell(self, step: str, error: str) -> None:
        get_logger("channels").warning("plugin_broken", channel=self._name, step=step, error=error)

    def _left_behind(self) -> None:
        with self._lock:
            self._stuck += 1

    def _freed(self) -> None:
        with self._lock:
            self._stuck -= 1


class _Call(Generic[T]):
    """One call. Whether it was left behind is decided once, whoever comes first."""

    result: T

    def __init__(self, work: Callable[[], T]) -> None:
        self._work, self._ended = work, threading.Event()
        self._lock, self._is_left, self._is_over = threading.Lock(), False, False
        self.error: BaseException | None = None

    def run(self, freed: Callable[[], None]) -> None:
        try:
            self.result = self._work()
        except BaseException as error:
            # Whatever it is, exiting too, it is told to whoever waits and ends nothing but this thread.
            self.error = error
        with self._lock:
            self._is_over = True
            was_left = self._is_left
        self._ended.set()
        if was_left:
            freed()

    def wait(self, within_s: float, left: Callable[[], None]) -> bool:
        if self._ended.wait(within_s):
            return True
        with self._lock:
            if self._is_over:
                return True
            left()
            self._is_left = True
        return False
