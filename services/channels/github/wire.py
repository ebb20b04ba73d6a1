"""One request and its answer on the wire. The only module of the channel that knows the HTTP client."""

from __future__ import annotations

import logging
import socket
import ssl

import httpx2

from services.channels.contract import DeliveryError, DeliveryErrorKind
from services.channels.github.answers import Answer
from services.channels.github.asks import Ask
from services.channels.github.within import Within
from services.outgoing.transport import WatchedTransport
from services.outgoing.watch import Stopped, Watch, watching

# GitHub closes an idle connection after a minute.
_KEEPALIVE_S = 30.0
_CONNECT_S = 5.0
# A page of 100 comments of the largest size, in JSON.
ANSWER_BYTES = 32 * 1024 * 1024
_KEPT = ("date", "link", "location", "retry-after", "x-ratelimit-remaining", "x-ratelimit-reset")


class Wire:
    """Connections to one API, shared by threads."""

    def __init__(self, base_url: str) -> None:
        for name in ("httpx2", "httpcore2"):
            # They would log addresses.
            logging.getLogger(name).setLevel(logging.WARNING)
        self._base = base_url
        self._client = httpx2.Client(
            transport=WatchedTransport(base_url, idle_s=_KEEPALIVE_S),
            # What is not compressed can not swell in memory.
            headers={"accept-encoding": "identity"},
            follow_redirects=False,
        )

    def exchange(self, ask: Ask, headers: dict[str, str], within: Within) -> Answer:
        """Send `ask` once and read its answer. Raises: DeliveryError.

        A read that fails was no part of a letter: not_sent, whatever left.
        """
        watch = within.watch(is_write=ask.is_write)
        try:
            with watching(watch):
                return self._exchange(ask, headers, watch)
        except (httpx2.TransportError, Stopped, TimeoutError) as error:
            within.go_on()
            is_doubtful = watch.is_started and ask.is_write
            kind: DeliveryErrorKind = "ambiguous" if is_doubtful else "not_sent"
            raise DeliveryError(kind, code=_code(error, watch)) from None
        finally:
            watch.release()

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    def _exchange(self, ask: Ask, headers: dict[str, str], watch: Watch) -> Answer:
        request = self._client.build_request(
            ask.method,
            self._base + ask.target,
            headers=headers,
            content=ask.body,
            timeout=httpx2.Timeout(None, connect=_CONNECT_S),
        )
        response = self._client.send(request, stream=True)
        try:
            body = bytearray()
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > ANSWER_BYTES:
                    raise httpx2.ReadError("larger than any answer")
        finally:
            response.close()
        kept = {name: response.headers[name] for name in _KEPT if name in response.headers}
        return Answer(status=response.status_code, headers=kept, body=bytes(body))


def _code(error: Exception, watch: Watch) -> str:
    chain: list[BaseException] = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) is not None and len(chain) < 12:
        chain.append(before)
    for kind, code in (
        (socket.gaierror, "dns"),
        (ssl.SSLError, "tls_failed"),
        (httpx2.TimeoutException, "timeout"),
        (TimeoutError, "timeout"),
        (httpx2.ConnectError, "connect_failed"),
        (httpx2.ProxyError, "proxy"),
        (httpx2.ProtocolError, "malformed"),
    ):
        if any(isinstance(each, kind) for each in chain):
            return code
    return "hung_up" if watch.is_started else "connect_failed"
