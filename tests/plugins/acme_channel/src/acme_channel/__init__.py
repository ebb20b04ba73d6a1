"""Example channel `acme`: the smallest one that keeps every promise, between sessions and the rooms of a chat.

In: `{"id", "room", "user", "text"}`, signed. Out: `POST {ACME_CHANNEL_URL}/messages` with `{"room", "marker",
"text"}`, signed; `GET /messages/<marker>` says whether it is there (200) or not (404).
"""

from __future__ import annotations

import os
import time

import httpx2
import msgspec

from turnwright import (
    Answer,
    Delivery,
    DeliveryError,
    Forged,
    Invalid,
    Letter,
    Receipt,
    Request,
    Sending,
    said,
)

from .connection import CancellableConnection
from .signing import is_signed, signed_headers
from .wire import Ping, Posted, Said, verdict_of

_SETTINGS = ("ACME_CHANNEL_URL", "ACME_CHANNEL_SECRET")


class AcmeChannel:
    """Serves any number of threads from one client; connections are not reused (see `connection`).

    `settle_ms`: what a dead process sent is found by then.
    """

    name = "acme"
    settle_ms = 1_000

    def __init__(self) -> None:
        missing = [name for name in _SETTINGS if not os.environ.get(name)]
        self.off = f"not set: {', '.join(missing)}" if missing else ""
        self._secret = os.environ.get("ACME_CHANNEL_SECRET", "").encode()
        self._client = httpx2.Client(
            base_url=os.environ.get("ACME_CHANNEL_URL", ""),
            headers={"accept-encoding": "identity"},
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
            trust_env=False,
        )

    def verify(self, request: Request) -> None:
        """Check the signature. Raises: Forged."""
        if not is_signed(self._secret, request):
            raise Forged("the signature is missing, wrong or too old")

    def read(self, request: Request) -> Delivery | Answer:
        """What somebody said in a room; a ping is only answered. Raises: Invalid."""
        try:
            posted = msgspec.json.decode(request.body, type=Posted | Ping)
        except msgspec.MsgspecError:
            raise Invalid("body", "must be a message or a ping") from None
        if isinstance(posted, Ping):
            return Answer(body=msgspec.json.encode({"pong": posted.ping}))
        return Delivery(
            key=posted.id,
            thread=posted.room,
            text=posted.text,
            reply_to=posted.room,
            event="message",
            place=posted.room,
            author=posted.user,
        )

    def send(self, letter: Letter, sending: Sending) -> Receipt:
        """Post the answer once. Raises: DeliveryError."""
        room = (letter.input.reply_to or "").removeprefix("acme:")
        body = msgspec.json.encode(Said(room=room, marker=letter.marker, text=said(letter)))
        response = self._ask(self._request("POST", "/messages", body, letter), sending)
        if not response.is_success:
            raise verdict_of(response)
        return Receipt(status=response.status_code)

    def find(self, letter: Letter, sending: Sending) -> Receipt | None:
        """Ask whether it is there. Raises: DeliveryError."""
        response = self._ask(self._request("GET", f"/messages/{letter.marker}", b"", letter), sending)
        if response.status_code == 404:
            return None
        if not response.is_success:
            raise DeliveryError("ambiguous", code="can_not_tell", status=response.status_code)
        return Receipt(status=response.status_code)

    def _request(self, method: str, path: str, body: bytes, letter: Letter) -> httpx2.Request:
        headers = signed_headers(self._secret, body, at_s=int(time.time()))
        return self._client.build_request(
            method, path, content=body, headers=headers, timeout=httpx2.Timeout(letter.timeout_s)
        )

    def _ask(self, request: httpx2.Request, sending: Sending) -> httpx2.Response:
        """Send and read all of a short answer. Raises: DeliveryError."""
        connection = CancellableConnection(sending)
        request.extensions = {**request.extensions, "trace": connection.trace}
        try:
            return self._client.send(request)
        except httpx2.HTTPError as error:
            if sending.is_cancelled():
                raise DeliveryError("cancelled") from None
            is_unsent = isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout))
            raise DeliveryError("not_sent" if is_unsent else "ambiguous", code="connection") from None
        finally:
            connection.release()
