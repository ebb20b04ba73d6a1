"""The bytes of one connection to a vetted address. Every read and write keeps to the attempt it belongs to.

A connection may serve one attempt after another; a cancel reaches it only while its own attempt lasts.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpcore2

from services.channels.http.attempt import Attempts
from services.sockets import is_readable


class TLSFailed(httpcore2.ConnectError):
    """The other side has no certificate that this system trusts for its name, or speaks no TLS."""


class PinnedStream(httpcore2.NetworkStream):
    """A connected socket. The client's own timeouts are not used: the attempt has one for everything."""

    def __init__(self, sock: socket.socket, attempts: Attempts) -> None:
        self._sock = sock
        self._attempts = attempts

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Some bytes, none at the end. Raises: httpcore2.ReadTimeout, ReadError."""
        with _mapped(httpcore2.ReadTimeout, httpcore2.ReadError):
            self._sock.settimeout(self._attempts.current.left_s())
            return self._sock.recv(max_bytes)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of `buffer`; the first of an attempt asks whether it may.

        Raises: httpcore2.WriteTimeout, WriteError, DeliveryError (cancelled).
        """
        attempt = self._attempts.current
        attempt.watch(self._sock)
        if buffer:
            attempt.start()
        rest = memoryview(buffer)
        with _mapped(httpcore2.WriteTimeout, httpcore2.WriteError):
            while rest:
                self._sock.settimeout(attempt.left_s())
                rest = rest[self._sock.send(rest) :]

    def close(self) -> None:
        """Close the socket; whoever cancels now shuts nothing."""
        # Before the number of the socket can become somebody else's.
        self._attempts.forget(self._sock)
        self._sock.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        """Talk TLS from now on. Raises: TLSFailed, httpcore2.ConnectTimeout."""
        attempt = self._attempts.current
        with _mapped(httpcore2.ConnectTimeout, TLSFailed):
            attempt.release()
            wrapped = ssl_context.wrap_socket(
                self._sock, server_hostname=server_hostname, do_handshake_on_connect=False
            )
            try:
                attempt.watch(wrapped)
                wrapped.settimeout(attempt.left_s())
                wrapped.do_handshake()
            except BaseException:
                attempt.release()
                wrapped.close()
                raise
        return PinnedStream(wrapped, self._attempts)

    def get_extra_info(self, info: str) -> object:
        """What the client asks about a connection it may use again."""
        match info:
            case "ssl_object":
                return self._sock if isinstance(self._sock, ssl.SSLSocket) else None
            case "is_readable":
                return is_readable(self._sock)
            case _:
                return None


@contextmanager
def _mapped(late: type[Exception], broken: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise late from None
    except (OSError, ValueError):
        # ValueError: a name that TLS can not check.
        raise broken from None
