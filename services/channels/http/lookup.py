"""Names to addresses, within a time limit that the system's resolver does not know.

Each lookup runs in a thread of its own: one that hangs is left behind, and only so many may.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence

from services.channels.contract import DeliveryError
from services.channels.http.attempt import Attempt
from services.channels.http.targets import Address

LOOKUP_S = 5.0
AT_ONCE = 32

Resolve = Callable[[str], Sequence[Address]]


def resolve(host: str) -> Sequence[Address]:
    """Every address the system knows for `host`, best first. Raises: OSError, UnicodeError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    addresses = (ipaddress.ip_address(each[4][0]) for each in found)
    return list(dict.fromkeys(addresses))


class Lookups:
    """Looks names up by `resolve`. Thread-safe."""

    def __init__(
        self, resolve: Resolve = resolve, *, limit_s: float = LOOKUP_S, at_once: int = AT_ONCE
    ) -> None:
        self._resolve = resolve
        self._limit_s = limit_s
        self._places = threading.BoundedSemaphore(at_once)

    def find(self, host: str, attempt: Attempt) -> Sequence[Address]:
        """All addresses of `host`, at least one.

        Raises: DeliveryError: not_sent with dns_failed, dns_timeout or dns_busy; cancelled.
        """
        if not self._places.acquire(blocking=False):
            raise DeliveryError("not_sent", code="dns_busy")
        lookup = _Lookup(self._resolve, host, self._places)
        lookup.start()
        forget = attempt.on_cancel(lookup.ended.set)
        try:
            lookup.ended.wait(attempt.left_s(self._limit_s))
        except TimeoutError:
            pass  # the attempt has no time left: as if the lookup had taken it all
        finally:
            forget()
        attempt.go_on()
        if lookup.found is None:
            raise DeliveryError("not_sent", code="dns_timeout")
        if not lookup.found:
            raise DeliveryError("not_sent", code="dns_failed")
        return lookup.found


class _Lookup(threading.Thread):
    """One lookup; `found` is None until it ends, and empty when it fails."""

    def __init__(self, resolve: Resolve, host: str, place: threading.BoundedSemaphore) -> None:
        super().__init__(name="lookup", daemon=True)
        self._resolve, self._host, self._place = resolve, host, place
        self.found: Sequence[Address] | None = None
        self.ended = threading.Event()

    def run(self) -> None:
        try:
            self.found = self._resolve(self._host)
        except (OSError, ValueError):
            # ValueError: a name that the system can not even encode, or an address it spells in its own way.
            self.found = ()
        finally:
            self._place.release()
            self.ended.set()
