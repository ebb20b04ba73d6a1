"""The provider `anthropic:<model>`: Anthropic's messages, and servers that speak the same.

What a request looks like is in `anthropic_request`, what comes back in `anthropic_answer`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from services.llm.provider import Call, ChatRequest, Piece
from services.llm.vendors.access import check_access
from services.llm.vendors.anthropic_answer import MessageAnswer
from services.llm.vendors.anthropic_request import messages_of, tools_of
from services.llm.vendors.client import http_client, silence, timeouts
from services.llm.vendors.exchange import Response, exchange
from services.llm.vendors.models import context_tokens, output_tokens
from services.settings import VendorAccess

if TYPE_CHECKING:
    from anthropic import Anthropic

_ADDRESS = "https://api.anthropic.com"


class AnthropicProvider:
    """Serves any number of threads from one client. Raises: ConfigurationError when it can not be used."""

    name = "anthropic"

    def __init__(self, model: str, access: VendorAccess) -> None:
        check_access(self.name, model, access)
        self.context_tokens = context_tokens(model)
        self._access = access
        self._lock = threading.Lock()
        self._sdk: Anthropic | None = None

    def stream(self, request: ChatRequest, call: Call) -> Iterator[Piece]:
        """Run one attempt. Raises: ProviderError."""
        sdk = self._client()
        return exchange(call, lambda: self._asked(sdk, request), MessageAnswer())

    def _asked(self, sdk: Anthropic, request: ChatRequest) -> AbstractContextManager[Response]:
        from anthropic import Omit, omit

        headers: dict[str, str | Omit] = {}
        if self._access.key is None:
            headers = {"Authorization": Omit(), "X-Api-Key": Omit()}
        return sdk.messages.with_streaming_response.create(
            model=request.model,
            max_tokens=output_tokens(request.model),
            system=request.system or omit,
            messages=messages_of(request),
            tools=tools_of(request) or omit,
            stream=True,
            extra_headers=headers,
            timeout=timeouts(request),
        )

    def _client(self) -> Anthropic:
        with self._lock:
            if self._sdk is None:
                import anthropic

                silence("anthropic")
                address = self._access.base_url or _ADDRESS
                # Key and address are given, so that the SDK does not look for them in the environment. The
                # spans of a request are ours, and no trace context of ours leaves the house.
                self._sdk = anthropic.Anthropic(
                    api_key=self._access.key.reveal() if self._access.key else "none",
                    base_url=address,
                    max_retries=0,
                    http_client=http_client(address),
                    open_telemetry=False,
                )
            return self._sdk
