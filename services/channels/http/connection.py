"""One connection to a vetted address: a request leaves in one piece, its answer is read as it comes.

It may serve one attempt after another; a cancel reaches it only while its own attempt lasts.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from services.channels.http.answers import Headers
from services.channels.http.attempt import Attempt
from services.channels.http.reader import AnswerReader, Malformed
from services.sockets import is_readable

# An answer is read to its end only to use the connection again. What costs more than a new one is left.
BODY_LIMIT = 65_536
BODY_S = 1.0

_PIECE = 16_384

T = TypeVar("T")


class Connection:
    """A connected socket, over TLS or not; for one thread at a time.

    It is used until `ends_at`, in monotonic seconds. `is_free`: it can take the next request.
    """

    def __init__(self, opened: socket.socket, *, ends_at: float) -> None:
        opened.setblocking(False)
        self._socket = opened
        self._reader = AnswerReader()
        self.ends_at = ends_at
        self.is_free = False

    def ask(self, request: bytes, attempt: Attempt) -> tuple[int, Headers]:
        """Send `request`: the status and the headers of its answer. Raises: DeliveryError."""
        is_sent = self._ask(request, attempt, keeps_body=False)
        self._drain(attempt)
        self.is_free = is_sent and self._reader.may_go_on
        return self._reader.status, self._reader.headers

    def ask_whole(self, request: bytes, attempt: Attempt, *, limit: int) -> tuple[int, Headers, bytes]:
        """Send `request`: its answer with its body, which has at most `limit` bytes and ends as it says it does.

        Raises: DeliveryError: also hung_up for a body that was cut short, answer_too_long.
        """
        is_sent = self._ask(request, attempt, keeps_body=True)
        try:
            while not self._reader.is_over and len(self._reader.body) <= limit:
                self._reader.feed(self._receive(attempt))
        except TimeoutError:
            raise attempt.failed("timeout") from None
        except OSError:
            raise attempt.failed("hung_up") from None
        if len(self._reader.body) > limit:
            raise attempt.failed("answer_too_long")
        if not self._reader.is_whole:
            raise attempt.failed("hung_up")
        self.is_free = is_sent and self._reader.may_go_on
        return self._reader.status, self._reader.headers, bytes(self._reader.body)

    def is_stale(self) -> bool:
        """Whether anything came while nobody asked: its end, as a rule."""
        has_rest = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
        return has_rest or is_readable(self._socket)

    def close(self) -> None:
        """End it. No attempt may watch it any more."""
        self._socket.close()

    def _ask(self, request: bytes, attempt: Attempt, *, keeps_body: bool) -> bool:
        """Send `request` and read the head of its answer; whether all of the request was taken."""
        self.is_free = False
        self._reader.begin(keeps_body=keeps_body)
        attempt.watch(self._socket)
        try:
            attempt.left_s()
            attempt.start()
            is_sent = self._send(request, attempt)
            # Nothing can be there yet: asking first would cost more than waiting at once.
            attempt.wait(self._socket, select.POLLIN)
            while not self._reader.status:
                self._reader.feed(self._receive(attempt))
        except TimeoutError:
            raise attempt.failed("timeout") from None
        except OSError:
            raise attempt.failed("hung_up") from None
        except Malformed:
            raise attempt.failed("malformed") from None
        return is_sent

    def _send(self, request: bytes, attempt: Attempt) -> bool:
        """Whether all of it was taken: who closes early may have answered, and that counts."""
        rest = memoryview(request)
        try:
            while rest:
                rest = rest[self._patiently(partial(self._socket.send, rest), select.POLLOUT, attempt) :]
        except TimeoutError:
            raise
        except OSError:
            return False
        return True

    def _receive(self, attempt: Attempt) -> bytes:
        attempt.left_s()
        return self._patiently(partial(self._socket.recv, _PIECE), select.POLLIN, attempt)

    def _drain(self, attempt: Attempt) -> None:
        """Read what is left of a short answer. Whatever happens: what the answer means is known already."""
        attempt.limit(BODY_S)
        with suppress(OSError):
            while not self._reader.is_over and self._reader.body_bytes <= BODY_LIMIT:
                self._reader.feed(self._receive(attempt))

    def _patiently(self, act: Callable[[], T], event: int, attempt: Attempt) -> T:
        """Do `act` once the socket is ready for it. TLS may have to read in order to write, and the reverse."""
        while True:
            try:
                return act()
            except ssl.SSLWantReadError:
                needed = select.POLLIN
            except ssl.SSLWantWriteError:
                needed = select.POLLOUT
            except BlockingIOError:
                needed = event
            attempt.wait(self._socket, needed)
