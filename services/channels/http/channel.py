"""The channel `http`: posts a letter to the callback its input named, and reads no more than the status.

Delivers at least once: a receiver knows a repeat by its `webhook-id`, so nothing is ever looked for.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Sequence

import httpcore2

from services.channels.contract import DeliveryError, DeliveryErrorKind, Letter, Receipt, Sending
from services.channels.http.addresses import Addresses
from services.channels.http.answers import receipt_of
from services.channels.http.attempt import Attempt, Attempts
from services.channels.http.connections import Connections, Keep
from services.channels.http.guard import Guard
from services.channels.http.lookup import Lookups
from services.channels.http.payload import body_of
from services.channels.http.signing import signed_headers
from services.channels.http.stream import TLSFailed
from services.channels.http.targets import BadTarget, Target, target_of
from services.errors import Unavailable
from services.telemetry.context import current

# An answer is read to its end only to use the connection again. What costs more than a new one is left.
BODY_LIMIT = 65_536
BODY_S = 1.0
USER_AGENT = "Turnwright"

# By the client's exception: whether the address was reached, and a safe word for it.
_FAILURES: tuple[tuple[type[Exception], str], ...] = (
    (TLSFailed, "tls_failed"),
    (httpcore2.TimeoutException, "timeout"),
    (httpcore2.ConnectError, "connect_failed"),
    (httpcore2.NetworkError, "hung_up"),
    (httpcore2.ProtocolError, "malformed"),
)


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
        self._attempts = Attempts()
        guard = Guard(addresses, lookups or Lookups(), self._attempts)
        self._connections = Connections(guard, tls or httpcore2.default_ssl_context(), keep or Keep())

    def send(self, letter: Letter, sending: Sending) -> Receipt:
        """Post `letter` once, within its `timeout_s`. Raises: DeliveryError."""
        target = self._target(letter)
        request = self._request(target, letter)
        with self._attempts.enter(sending, letter.timeout_s) as attempt:
            try:
                return self._exchange(target, request, attempt)
            except DeliveryError:
                raise
            except tuple(kind for kind, _ in _FAILURES) as error:
                attempt.go_on()
                raise _judged(error, attempt) from None

    def find(self, letter: Letter, sending: Sending) -> Receipt | None:
        """Nothing to look for: a receiver drops repeats by itself."""
        return None

    def close(self) -> None:
        """Close idle connections; sending later opens new ones."""
        self._connections.close()

    def _request(self, target: Target, letter: Letter) -> httpcore2.Request:
        body = body_of(letter, self._public_url)
        headers = {
            "host": target.authority,
            "content-type": "application/json",
            "content-length": str(len(body)),
            "user-agent": USER_AGENT,
            # An answer is not read; that it need not be expanded either goes without saying to most.
            "accept-encoding": "identity",
            **self._signed(letter.marker, body),
        }
        trace = current()
        if trace is not None:
            # Never the baggage: it is not the receiver's business.
            headers["traceparent"] = trace.parent
        url = httpcore2.URL(
            scheme=target.scheme.encode(),
            host=target.host.encode(),
            port=target.port,
            target=target.path.encode(),
        )
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        return httpcore2.Request(b"POST", url, headers=encoded, content=body)

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

    def _exchange(self, target: Target, request: httpcore2.Request, attempt: Attempt) -> Receipt:
        connection = self._connections.take(target, request.url.origin)
        response = connection.handle_request(request)
        try:
            receipt = receipt_of(response.status, response.headers, now_s=self._wall_s())
        finally:
            _drain(response, attempt)
            response.close()
            # First this: once it is given back, the connection may be in somebody else's hands.
            attempt.release()
            self._connections.give_back(target, connection)
        return receipt


def _drain(response: httpcore2.Response, attempt: Attempt) -> None:
    """Read what is left of a short answer. Whatever happens: what the answer means is known already."""
    attempt.limit(BODY_S)
    read = 0
    try:
        for chunk in response.iter_stream():
            read += len(chunk)
            if read > BODY_LIMIT:
                return
    except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError):
        return


def _judged(error: Exception, attempt: Attempt) -> DeliveryError:
    kind: DeliveryErrorKind = "ambiguous" if attempt.is_started else "not_sent"
    return DeliveryError(kind, code=next(code for known, code in _FAILURES if isinstance(error, known)))
