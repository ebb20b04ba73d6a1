"""The guard against requests to where callbacks must not reach: one lookup, every answer vetted, then pinned.

A connection is made to an address that was vetted, never to a name; so a name that changes its mind between
two lookups gains nothing. The name stays what TLS checks and what the Host header says.
"""

from __future__ import annotations

import errno
import ipaddress
import select
import socket
from collections.abc import Iterable, Sequence

import httpcore2

from services.channels.contract import DeliveryError
from services.channels.http.addresses import NOT_ALLOWED, Addresses
from services.channels.http.attempt import Attempts
from services.channels.http.lookup import Lookups
from services.channels.http.stream import PinnedStream
from services.channels.http.targets import Address

CONNECT_S = 5.0
ADDRESSES_TRIED = 4


class Guard(httpcore2.NetworkBackend):
    """Opens connections, each inside an attempt of `attempts`."""

    def __init__(self, addresses: Addresses, lookups: Lookups, attempts: Attempts) -> None:
        self._addresses = addresses
        self._lookups = lookups
        self._attempts = attempts

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to a vetted address of `host`; the attempt bounds the time, `timeout` is not used.

        Raises: DeliveryError (refused, not_sent, cancelled), httpcore2.ConnectError, ConnectTimeout.
        """
        failure: OSError = OSError("no address")
        for address in self._vetted(host)[:ADDRESSES_TRIED]:
            try:
                return PinnedStream(self._connected(address, port), self._attempts)
            except OSError as error:
                self._attempts.current.go_on()
                failure = error
        if isinstance(failure, TimeoutError):
            raise httpcore2.ConnectTimeout
        raise httpcore2.ConnectError

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """No callback goes there. Raises: DeliveryError (refused)."""
        raise DeliveryError("refused", code=NOT_ALLOWED)

    def _vetted(self, host: str) -> Sequence[Address]:
        try:
            found: Sequence[Address] = [ipaddress.ip_address(host)]
        except ValueError:
            found = self._lookups.find(host, self._attempts.current)
        if not all(self._addresses.may_reach(host, each) for each in found):
            raise DeliveryError("refused", code=NOT_ALLOWED)
        return found

    def _connected(self, address: Address, port: int) -> socket.socket:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._connect(sock, address, port)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            self._attempts.forget(sock)
            sock.close()
            raise
        return sock

    def _connect(self, sock: socket.socket, address: Address, port: int) -> None:
        attempt = self._attempts.current
        sock.setblocking(False)
        failed = sock.connect_ex((str(address), port))
        # Only now: a socket that has not begun to connect can not be shut, and would not notice.
        attempt.watch(sock)
        if failed == errno.EINPROGRESS:
            poll = select.poll()
            poll.register(sock, select.POLLOUT)
            if not poll.poll(attempt.left_s(CONNECT_S) * 1000):
                raise TimeoutError
            failed = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        attempt.go_on()
        if failed:
            raise OSError(failed, "connect")
