"""The sockets under a client of httpx2, so that a cancel frees a request at once wherever it is blocked.

httpx2 names the socket of a reused connection only once the answer has begun; therefore connections are made
by a network backend of our own. Resolving a name is the one thing that no cancel can cut short.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import httpcore2

from services.outgoing.watch import Watch, active_watch
from services.sockets import is_readable

_SLICE_MS = 200
_SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


class WatchedBackend(httpcore2.NetworkBackend):
    """Connects as httpcore2 does, and can be cancelled while doing so."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[_SocketOption] | None = None,
    ) -> httpcore2.NetworkStream:
        """Try each address of `host` for `timeout` seconds. Raises: ConnectError, ConnectTimeout."""
        watch = active_watch()
        with _as_connect_error():
            addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            opened = _connected(addresses, timeout, watch)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        watch.hold(opened)
        return WatchedStream(opened, watch)


class WatchedStream(httpcore2.NetworkStream):
    """A connected socket. Whoever writes to it first holds it until somebody else does."""

    def __init__(self, opened: socket.socket, watch: Watch) -> None:
        self._socket = opened
        self._watch = watch

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """At least one byte, or none at the end. Raises: ReadError, ReadTimeout."""
        try:
            self._socket.settimeout(self._watch.left_s(timeout, self._watch.limit_s))
            return self._socket.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore2.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """All of `buffer`. Raises: WriteError, WriteTimeout."""
        watch = active_watch()
        if watch is not self._watch:
            self._watch = watch
            watch.hold(self._socket)
        rest = memoryview(buffer)
        try:
            while rest:
                self._socket.settimeout(watch.left_s(timeout))
                rest = rest[self._socket.send(rest) :]
        except TimeoutError as error:
            raise httpcore2.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore2.WriteError(str(error)) from error

    def close(self) -> None:
        """Close the socket, once no cancel can reach its descriptor, which may soon be somebody else's."""
        self._watch.release()
        self._socket.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        """Shake hands. Raises: ConnectError, ConnectTimeout."""
        # Wrapping takes the descriptor away from our socket before the handshake: a copy can still shut it.
        with self._socket.dup() as copy, _as_connect_error():
            self._watch.hold(copy)
            try:
                self._socket.settimeout(self._watch.left_s(timeout))
                encrypted = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
            except BaseException:
                self._socket.close()
                raise
            finally:
                self._watch.release()
        self._watch.hold(encrypted)
        return WatchedStream(encrypted, self._watch)

    def get_extra_info(self, info: str) -> object:
        """What httpcore2's pool asks for: `is_readable`, `ssl_object`, `socket`."""
        match info:
            case "socket":
                return self._socket
            case "ssl_object":
                return self._socket if isinstance(self._socket, ssl.SSLSocket) else None
            case "is_readable":
                return is_readable(self._socket)
            case _:
                return None


_Address = tuple[
    socket.AddressFamily,
    socket.SocketKind,
    int,
    str,
    tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes],
]


def _connected(addresses: Iterable[_Address], timeout: float | None, watch: Watch) -> socket.socket:
    failed: OSError = OSError(errno.EHOSTUNREACH, "the name has no address")
    for family, kind, protocol, _, address in addresses:
        opened = socket.socket(family, kind, protocol)
        try:
            opened.setblocking(False)
            code = opened.connect_ex(address)
            if code == errno.EINPROGRESS:
                _wait_connected(opened, timeout, watch)
                code = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code == 0:
                return opened
            failed = OSError(code, os.strerror(code))
        except OSError as error:
            failed = error
        except BaseException:
            opened.close()
            raise
        opened.close()
    raise failed


def _wait_connected(opened: socket.socket, timeout: float | None, watch: Watch) -> None:
    """In slices, because shutting a socket that is not connected yet does not wake everybody everywhere."""
    timeout = watch.left_s(timeout)
    ends = None if timeout is None else time.monotonic() + timeout
    poll = select.poll()
    poll.register(opened, select.POLLOUT)
    while not poll.poll(_SLICE_MS):
        watch.check()
        if ends is not None and time.monotonic() > ends:
            raise TimeoutError("connecting took too long")


@contextmanager
def _as_connect_error() -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise httpcore2.ConnectTimeout(str(error)) from error
    except OSError as error:
        raise httpcore2.ConnectError(str(error)) from error
