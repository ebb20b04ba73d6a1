"""Slack's own client, with our transport under it. The one module that imports `slack_sdk`: only when it is needed.

The library names the methods and their parameters; sending, time limits and repetition are not left to it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

import msgspec
from slack_sdk import WebClient
from slack_sdk.web import SlackResponse

from services.errors import Defect

_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json; charset=utf-8"

# Method, content type, body: the answer of a call that went well.
Call = Callable[[str, str, bytes], Mapping[str, object]]

# It would log addresses of proxies, parameters and bodies.
_silent = logging.getLogger("turnwright.slack_sdk")
_silent.disabled = True


class Web(WebClient):
    """The methods of one attempt. Each makes one `call` and raises what that raises: DeliveryError."""

    def __init__(self, call: Call) -> None:
        super().__init__(retry_handlers=[], logger=_silent)
        self._call = call

    def api_call(  # type: ignore[override]  # what is not taken, no method that we use has
        self,
        api_method: str,
        *,
        http_verb: str = "POST",
        params: Mapping[str, object] | None = None,
        json: Mapping[str, object] | None = None,
    ) -> SlackResponse:
        """Encode what a method was given, and call it. Raises: DeliveryError."""
        if json is not None:
            answer = self._call(api_method, _JSON, msgspec.json.encode(json))
        else:
            answer = self._call(api_method, _FORM, _form(params or {}))
        return SlackResponse(
            client=self,
            http_verb="POST",
            api_url=api_method,
            req_args={},
            data=dict(answer),
            headers={},
            status_code=200,
        )

    def _sync_send(self, api_url: object, req_args: object) -> SlackResponse:
        """What is left of the way around `api_call`."""
        raise Defect("a method of Slack's client bypasses the transport")

    def _request_for_pagination(self, api_url: object, req_args: object) -> dict[str, object]:
        """Pages are asked for one by one, by cursor."""
        raise Defect("a method of Slack's client bypasses the transport")


def _form(params: Mapping[str, object]) -> bytes:
    given = {name: int(value) if isinstance(value, bool) else value for name, value in params.items()}
    return urlencode({name: value for name, value in given.items() if value is not None}).encode()
