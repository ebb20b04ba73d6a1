"""One request on its way: how long it may take, which socket it holds, whether its first byte is out."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.channels.contract import DeliveryError, Sending
from services.sockets import shut


class Attempt:
    """The limits of one request, kept by the thread that runs it."""

    def __init__(self, sending: Sending, timeout_s: float) -> None:
        self._sending = sending
        self._ends = time.monotonic() + timeout_s
        self._watched: socket.socket | None = None
        self._forget: Callable[[], None] | None = None
        self.is_started = False

    def left_s(self, most: float = float("inf")) -> float:
        """The seconds that a next step may take. Raises: TimeoutError when none is left."""
        left = min(self._ends - time.monotonic(), most)
        if left <= 0:
            raise TimeoutError
        return left

    def limit(self, most_s: float) -> None:
        """What follows ends within `most_s` seconds, if not earlier."""
        self._ends = min(self._ends, time.monotonic() + most_s)

    def start(self) -> None:
        """The first byte of the request leaves now. Raises: DeliveryError (cancelled)."""
        if not self.is_started:
            self._sending.starting()
            self.is_started = True

    def go_on(self) -> None:
        """Raises: DeliveryError (cancelled) when somebody stopped this attempt."""
        if self._sending.is_cancelled():
            raise DeliveryError("cancelled")

    def on_cancel(self, wake: Callable[[], None]) -> Callable[[], None]:
        """See `Sending.on_cancel`."""
        return self._sending.on_cancel(wake)

    def watch(self, sock: socket.socket) -> None:
        """From now on a cancel shuts `sock`, and no other."""
        if sock is not self._watched:
            self.release()
            self._watched = sock
            self._forget = self._sending.on_cancel(lambda: shut(sock))

    def holds(self, sock: socket.socket) -> bool:
        """Whether a cancel would shut `sock`."""
        return sock is self._watched

    def release(self) -> None:
        """A cancel shuts nothing any more; a shutdown that is running has ended when this returns."""
        if self._forget is not None:
            self._forget()
        self._watched = self._forget = None


class Attempts:
    """Which attempt the calling thread is in: sockets are shared between attempts, threads are not."""

    def __init__(self) -> None:
        self._here = threading.local()

    @contextmanager
    def enter(self, sending: Sending, timeout_s: float) -> Iterator[Attempt]:
        """Run what is inside as one attempt."""
        attempt = self._here.attempt = Attempt(sending, timeout_s)
        try:
            yield attempt
        finally:
            attempt.release()
            del self._here.attempt

    def forget(self, sock: socket.socket) -> None:
        """`sock` is about to be closed, by an attempt or by whoever tidies up."""
        attempt: Attempt | None = getattr(self._here, "attempt", None)
        if attempt is not None and attempt.holds(sock):
            attempt.release()

    @property
    def current(self) -> Attempt:
        """The attempt of this thread. Raises: AttributeError outside of one."""
        attempt: Attempt = self._here.attempt
        return attempt
