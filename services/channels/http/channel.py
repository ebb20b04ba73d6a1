"""The channel `http`: posts a letter to the callback its input named, and reads no more than the status.

Delivers at least once: a receiver knows a repeat by its `webhook-id`, so nothing is ever looked for.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence

from httpcore2 import default_ssl_context

from services.channels.contract import DeliveryError, Letter, Receipt, Sending
from services.channels.http.addresses import Addresses
from services.channels.http.answers import Headers, receipt_of
from services.channels.http.attempt import Attempt
from services.channels.http.connections import Connections, Keep
from services.channels.http.guard import Guard
from services.channels.http.lookup import Lookups
from services.channels.http.payload import body_of
from services.channels.http.request import UnsafeHeader, request_of
from services.channels.http.signing import signed_headers
from services.channels.http.targets import BadTarget, Target, target_of
from services.errors import Unavailable
from services.telemetry.context import current

USER_AGENT = "Turnwright"


class HTTPChannel:
    """Sends to public addresses and those `addresses` allows, signed with every key of `keys()`.

    `public_url` is where people reach this server. `keys` raises Unavailable when they can not be had: then
    nothing is sent. `wall_s` is epoch seconds.
    """

    name = "http"
    settle_ms = 0

    def __init__(
        self,
        addresses: Addresses,
        keys: Callable[[], Sequence[bytes]],
        *,
        lookups: Lookups | None = None,
        tls: ssl.SSLContext | None = None,
        keep: Keep | None = None,
        public_url: str | None = None,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        self._addresses = addresses
        self._keys = keys
        self._public_url = public_url
        self._wall_s = wall_s
        guard = Guard(addresses, lookups or Lookups())
        self._connections = Connections(guard, tls or default_ssl_context(), keep or Keep())

    def send(self, letter: Letter, sending: Sending) -> Receipt:
        """Post `letter` once, within its `timeout_s`. Raises: DeliveryError."""
        target = self._target(letter)
        request = self._request(target, letter)
        status, headers = self._ask(target, request, Attempt(sending, letter.timeout_s))
        return receipt_of(status, headers, now_s=self._wall_s())

    def find(self, letter: Letter, sending: Sending) -> Receipt | None:
        """Nothing to look for: a receiver drops repeats by itself."""
        return None

    def close(self) -> None:
        """Close idle connections; sending later opens new ones."""
        self._connections.close()

    def _request(self, target: Target, letter: Letter) -> bytes:
        body = body_of(letter, self._public_url)
        headers = {
            "content-type": "application/json",
            "user-agent": USER_AGENT,
            # An answer is not read; that it need not be expanded either goes without saying to most.
            "accept-encoding": "identity",
            **self._signed(letter.marker, body),
        }
        trace = current()
        if trace is not None:
            # Never the baggage: it is not the receiver's business.
            headers["traceparent"] = trace.parent
        try:
            return request_of(target, headers, body)
        except UnsafeHeader:
            raise DeliveryError("not_sent", code="malformed") from None

    def _signed(self, marker: str, body: bytes) -> dict[str, str]:
        try:
            keys = self._keys()
        except Unavailable:
            raise DeliveryError("not_sent", code="keys_unavailable") from None
        return signed_headers(keys, id=marker, timestamp_s=int(self._wall_s()), body=body)

    def _target(self, letter: Letter) -> Target:
        try:
            target = target_of(letter.input.callback or "")
            self._addresses.check_literal(target)
        except BadTarget as error:
            raise DeliveryError("refused", code=error.code) from None
        return target

    def _ask(self, target: Target, request: bytes, attempt: Attempt) -> tuple[int, Headers]:
        connection = self._connections.take(target, attempt)
        try:
            return connection.ask(request, attempt)
        finally:
            # First this: once it is given back, the connection may be in somebody else's hands.
            attempt.release()
            self._connections.give_back(target, connection)
