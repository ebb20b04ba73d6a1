"""Calling Slack: methods by name, one attempt each, and the response URLs of what people pressed."""

from __future__ import annotations

import ipaddress
import ssl
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from services.channels.contract import DeliveryError, Sending
from services.channels.http.addresses import Addresses
from services.channels.http.connections import Keep
from services.channels.http.lookup import Lookups
from services.channels.http.targets import BadTarget, Target, target_of
from services.channels.slack.answers import judged, judged_post
from services.channels.slack.holds import Holds
from services.channels.slack.transport import Transport
from services.errors import ConfigurationError
from services.variables import Destination, Secret

if TYPE_CHECKING:
    from services.channels.slack.sdk import Web

API_URL = "https://slack.com/api/"
RESPONSE_HOST = "hooks.slack.com"


class SlackClient:
    """One installation of the app: its token, its API, its limits. Serves many threads.

    `api_url` is trusted, wherever it leads; nothing else but public addresses is ever reached.
    Raises: ConfigurationError when `api_url` is none.
    """

    def __init__(
        self,
        token: Secret,
        *,
        api_url: str = API_URL,
        holds: Holds | None = None,
        lookups: Lookups | None = None,
        tls: ssl.SSLContext | None = None,
        keep: Keep | None = None,
    ) -> None:
        try:
            self._api = target_of(api_url if api_url.endswith("/") else f"{api_url}/")
        except BadTarget as error:
            raise ConfigurationError(f"TURNWRIGHT_SLACK_API_URL {error.reason}") from None
        self._token = token
        self._holds = holds or Holds()
        allowed = Addresses([_destination(self._api.host)])
        self._transport = Transport(allowed, lookups=lookups, tls=tls, keep=keep)

    def attempt(self, sending: Sending, timeout_s: float) -> Web:
        """Slack's methods for one attempt: all calls together take at most `timeout_s`.

        Each asks `sending` before its first byte and raises DeliveryError; an error code of Slack's is its `code`.
        """
        # Processes that never talk to Slack do not pay for its library.
        from services.channels.slack.sdk import Web

        ends = time.monotonic() + timeout_s

        def call(method: str, content_type: str, body: bytes) -> Mapping[str, object]:
            return self._call(method, content_type, body, sending=sending, ends=ends)

        return Web(call)

    def respond(self, url: str, body: Mapping[str, object], sending: Sending, timeout_s: float) -> None:
        """Answer what somebody pressed or commanded through its response URL, with a message of Slack's.

        Raises: DeliveryError: refused for a URL that is not Slack's, gone for one that is used up or too old.
        """
        headers = {"content-type": "application/json; charset=utf-8"}
        judged_post(
            self._transport.post(
                self._response_target(url),
                headers,
                msgspec.json.encode(body),
                sending=sending,
                timeout_s=timeout_s,
            )
        )

    def close(self) -> None:
        """Close idle connections."""
        self._transport.close()

    def _call(
        self, method: str, content_type: str, body: bytes, *, sending: Sending, ends: float
    ) -> Mapping[str, object]:
        self._holds.check(method)
        headers = {"content-type": content_type, "authorization": f"Bearer {self._token.reveal()}"}
        target = msgspec.structs.replace(self._api, path=self._api.path + method)
        left_s = ends - time.monotonic()
        answer = self._transport.post(target, headers, body, sending=sending, timeout_s=left_s)
        try:
            return judged(answer)
        except DeliveryError as error:
            if error.kind == "overloaded" and error.retry_after_s is not None:
                self._holds.hold(method, error.retry_after_s)
            raise

    def _response_target(self, url: str) -> Target:
        try:
            target = target_of(url)
        except BadTarget as error:
            raise DeliveryError("refused", code=error.code) from None
        is_slack = (target.scheme, target.host, target.port) == ("https", RESPONSE_HOST, 443)
        is_api = (target.scheme, target.host, target.port) == (
            self._api.scheme,
            self._api.host,
            self._api.port,
        )
        if not (is_slack or is_api):
            raise DeliveryError("refused", code="not_slack")
        return target


def _destination(host: str) -> Destination:
    try:
        return ipaddress.ip_network(host)
    except ValueError:
        return host
