"""One running attempt at something outside: whether it may begin, how long it may last, how it is stopped.

What may begin, and with which error it is stopped, is said by the kind of attempt.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from services.jobs.cancellation import Cancellation
from services.jobs.deadline import Deadlines

A = TypeVar("A", bound="RunningAttempt")


class RunningAttempt:
    """A context manager that disarms its time limit at the end. `lasts_s` counts from here, on a monotonic clock;
    then it is cancelled with the reason `timeout`."""

    def __init__(self, *, deadlines: Deadlines, lasts_s: float, timeout: str) -> None:
        self._cancellation = Cancellation()
        self._is_started = False
        self._disarm = deadlines.arm(lasts_s, lambda: self.cancel(timeout))

    def __enter__(self: A) -> A:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._disarm()

    def cancel(self, reason: str) -> None:
        """Stop this attempt from any thread; the first reason stays. `reason` is a safe code."""
        self._cancellation.set(reason)

    @property
    def cancel_reason(self) -> str:
        """The reason of the first cancel, that of the time limit or of a refusal among them, or empty."""
        return self._cancellation.reason

    @property
    def is_started(self) -> bool:
        """Whether it was let through to send its first byte."""
        return self._is_started

    def starting(self) -> None:
        """Refuse the first byte of an attempt that was stopped, or that may not begin."""
        if not self._cancellation.is_set() and (refusal := self._refusal()):
            self._cancellation.set(refusal)
        if self._cancellation.is_set():
            raise self._stopped()
        self._is_started = True

    def on_cancel(self, shut: Callable[[], None]) -> Callable[[], None]:
        """Run `shut` on cancel, at once if that is past; returns how to take it back."""
        return self._cancellation.add(shut)

    def is_cancelled(self) -> bool:
        """Whether this attempt was stopped, by whomever."""
        return self._cancellation.is_set()

    def _refusal(self) -> str:
        """Why it may not begin, as a safe code; empty when it may."""
        raise NotImplementedError

    def _stopped(self) -> Exception:
        """The error that tells the other side of an attempt that it is stopped."""
        raise NotImplementedError
