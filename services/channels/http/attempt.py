"""One request on its way: how long it may take, which socket it holds, whether its first byte is out."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from services.channels.contract import DeliveryError, Sending
from services.sockets import is_ready, shut


class Attempt:
    """The limits of one request, kept by the thread that runs it."""

    def __init__(self, sending: Sending, timeout_s: float) -> None:
        self._sending = sending
        self._ends = time.monotonic() + timeout_s
        self._watched: socket.socket | None = None
        self._forget: Callable[[], None] | None = None
        self._is_started = False

    def left_s(self, most: float = float("inf")) -> float:
        """The seconds that a next step may take. Raises: TimeoutError when none is left."""
        left = min(self._ends - time.monotonic(), most)
        if left <= 0:
            raise TimeoutError
        return left

    def limit(self, most_s: float) -> None:
        """What follows ends within `most_s` seconds, if not earlier."""
        self._ends = min(self._ends, time.monotonic() + most_s)

    def wait(self, opened: socket.socket, events: int, *, most_s: float = float("inf")) -> None:
        """Wait for one of `events` on `opened`, see `is_ready`. Raises: TimeoutError."""
        if not is_ready(opened, events, within_s=self.left_s(most_s)):
            raise TimeoutError

    def start(self) -> None:
        """The first byte of the request leaves now. Raises: DeliveryError (cancelled)."""
        self._sending.starting()
        self._is_started = True

    def go_on(self) -> None:
        """Raises: DeliveryError (cancelled) when somebody stopped this attempt."""
        if self._sending.is_cancelled():
            raise DeliveryError("cancelled")

    def failed(self, code: str) -> DeliveryError:
        """What it means that this attempt ended by `code`: a cancel looks like any other end to a socket."""
        if self._sending.is_cancelled():
            return DeliveryError("cancelled")
        return DeliveryError("ambiguous" if self._is_started else "not_sent", code=code)

    def on_cancel(self, wake: Callable[[], None]) -> Callable[[], None]:
        """See `Sending.on_cancel`."""
        return self._sending.on_cancel(wake)

    def watch(self, opened: socket.socket) -> None:
        """From now on a cancel shuts `opened`, and no other socket."""
        if opened is not self._watched:
            self.release()
            self._watched = opened
            self._forget = self._sending.on_cancel(lambda: shut(opened))

    def release(self) -> None:
        """A cancel shuts nothing any more; a shutdown that is running has ended when this returns.

        Call it before a watched socket is closed: its number may be somebody else's then.
        """
        if self._forget is not None:
            self._forget()
        self._watched = self._forget = None
