"""Bytes to Slack and back: one guarded, cancellable POST. What an answer means is not known here.

Not the transport of Slack's own client: that one gives nobody its socket, so nobody could free a blocked thread.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import msgspec
from httpcore2 import default_ssl_context

from services.channels.contract import DeliveryError, Sending
from services.channels.http.addresses import Addresses
from services.channels.http.attempt import Attempt
from services.channels.http.connections import Connections, Keep
from services.channels.http.guard import Guard
from services.channels.http.lookup import Lookups
from services.channels.http.request import UnsafeHeader, request_of
from services.channels.http.targets import Target
from services.telemetry.context import current

# A page of a thread whose every message is as long as Slack allows.
ANSWER_LIMIT = 16 << 20
USER_AGENT = "Turnwright"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came back, whole. Names of `headers` in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Posts to addresses that `addresses` allows. One instance serves many threads."""

    def __init__(
        self,
        addresses: Addresses,
        *,
        lookups: Lookups | None = None,
        tls: ssl.SSLContext | None = None,
        keep: Keep | None = None,
    ) -> None:
        guard = Guard(addresses, lookups or Lookups())
        self._connections = Connections(guard, tls or default_ssl_context(), keep or Keep())

    def post(
        self, target: Target, headers: Mapping[str, str], body: bytes, *, sending: Sending, timeout_s: float
    ) -> Answer:
        """Post once, within `timeout_s`; asks `sending` right before the first byte.

        Raises: DeliveryError (not_sent, ambiguous, refused, cancelled).
        """
        request = _request(target, headers, body)
        attempt = Attempt(sending, timeout_s)
        attempt.go_on()
        connection = self._connections.take(target, attempt)
        try:
            status, given, content = connection.ask_whole(request, attempt, limit=ANSWER_LIMIT)
        finally:
            # First this: once it is given back, the connection may be in somebody else's hands.
            attempt.release()
            self._connections.give_back(target, connection)
        named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in given}
        return Answer(status=status, headers=named, body=content)

    def close(self) -> None:
        """Close idle connections; posting later opens new ones."""
        self._connections.close()


def _request(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    all_headers = {"user-agent": USER_AGENT, "accept-encoding": "identity", **headers}
    trace = current()
    if trace is not None:
        all_headers["traceparent"] = trace.parent
    try:
        return request_of(target, all_headers, body)
    except UnsafeHeader:
        raise DeliveryError("not_sent", code="malformed") from None
