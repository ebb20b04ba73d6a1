"""The guard against requests to where callbacks must not reach: one lookup, every answer vetted, then pinned.

A connection is made to an address that was vetted, never to a name; so a name that changes its mind between
two lookups gains nothing. The name stays what TLS checks and what the Host header says.
"""

from __future__ import annotations

import errno
import ipaddress
import select
import socket
from collections.abc import Sequence

from services.channels.contract import DeliveryError
from services.channels.http.addresses import NOT_ALLOWED, Addresses
from services.channels.http.attempt import Attempt
from services.channels.http.lookup import Lookups
from services.channels.http.targets import Address

CONNECT_S = 5.0
ADDRESSES_TRIED = 4


class Guard:
    """Opens connections to where `addresses` allows, as `lookups` knows names. Thread-safe."""

    def __init__(self, addresses: Addresses, lookups: Lookups) -> None:
        self._addresses = addresses
        self._lookups = lookups

    def connect(self, host: str, port: int, attempt: Attempt) -> socket.socket:
        """Connect to a vetted address of `host`; `attempt` watches the socket and bounds the time.

        Raises: DeliveryError (refused; not_sent: connect_failed, timeout and what a lookup raises; cancelled).
        """
        code = "connect_failed"
        for address in self._vetted(host, attempt)[:ADDRESSES_TRIED]:
            try:
                return _connected(address, port, attempt)
            except OSError as error:
                attempt.go_on()
                code = "timeout" if isinstance(error, TimeoutError) else "connect_failed"
        raise attempt.failed(code)

    def _vetted(self, host: str, attempt: Attempt) -> Sequence[Address]:
        try:
            found: Sequence[Address] = [ipaddress.ip_address(host)]
        except ValueError:
            found = self._lookups.find(host, attempt)
        if not all(self._addresses.may_reach(host, each) for each in found):
            raise DeliveryError("refused", code=NOT_ALLOWED)
        return found


def _connected(address: Address, port: int, attempt: Attempt) -> socket.socket:
    opened = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        _connect(opened, (str(address), port), attempt)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        attempt.release()
        opened.close()
        raise
    return opened


def _connect(opened: socket.socket, place: tuple[str, int], attempt: Attempt) -> None:
    opened.setblocking(False)
    failed = opened.connect_ex(place)
    # Only now: a socket that has not begun to connect can not be shut, and would not notice.
    attempt.watch(opened)
    if failed == errno.EINPROGRESS:
        attempt.wait(opened, select.POLLOUT, most_s=CONNECT_S)
        failed = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    attempt.go_on()
    if failed:
        raise OSError(failed, "connect")
