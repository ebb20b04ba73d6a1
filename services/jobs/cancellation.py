"""A flag that one thread sets to free another one that is blocked."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

_log = structlog.get_logger(__name__)


class Cancellation:
    """Set once, from any thread; the first reason stays."""

    def __init__(self) -> None:
        # Held while callbacks run, so that taking one back means it is not running and never will.
        self._lock = threading.RLock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._next_id = 0
        self._reason: str | None = None

    @property
    def reason(self) -> str:
        """Why, or empty while nobody cancelled."""
        return self._reason or ""

    def is_set(self) -> bool:
        """Whether somebody cancelled. Never blocks."""
        return self._reason is not None

    def set(self, reason: str) -> bool:
        """Cancel and run the callbacks in this thread. Returns False if somebody was faster."""
        with self._lock:
            if self._reason is not None:
                return False
            self._reason = reason
            callbacks, self._callbacks = self._callbacks, {}
            for callback in callbacks.values():
                _run(callback)
        return True

    def add(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Run `callback` on cancel, at once if that is past. Returns how to take it back."""
        with self._lock:
            if self._reason is not None:
                _run(callback)
                return _nothing
            self._next_id += 1
            key = self._next_id
            self._callbacks[key] = callback
        return lambda: self._remove(key)

    def _remove(self, key: int) -> None:
        with self._lock:
            self._callbacks.pop(key, None)


def _run(callback: Callable[[], None]) -> None:
    try:
        callback()
    except OSError:
        pass  # the socket was gone already: nobody is blocked on it
    except Exception as error:
        # Plugin code, run by whoever cancels: it must not stop the other callbacks or the caller.
        _log.error("cancel_callback_failed", error=type(error).__name__)


def _nothing() -> None:
    return None
