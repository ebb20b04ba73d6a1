"""The provider `openai:<model>`: chat completions of OpenAI, and of servers that speak the same.

What a request looks like is in `openai_request`, what comes back in `openai_answer`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from services.llm.provider import Call, ChatRequest, Piece
from services.llm.vendors.access import check_access
from services.llm.vendors.client import http_client, silence, timeouts
from services.llm.vendors.exchange import Response, exchange
from services.llm.vendors.models import context_tokens
from services.llm.vendors.openai_answer import ChatAnswer
from services.llm.vendors.openai_request import messages_of, tools_of
from services.settings import VendorAccess

if TYPE_CHECKING:
    from openai import OpenAI

_ADDRESS = "https://api.openai.com/v1"


class OpenAIProvider:
    """Serves any number of threads from one client. Raises: ConfigurationError when it can not be used."""

    name = "openai"

    def __init__(self, model: str, access: VendorAccess) -> None:
        check_access(self.name, model, access)
        self.context_tokens = context_tokens(model)
        self._access = access
        self._lock = threading.Lock()
        self._sdk: OpenAI | None = None

    def stream(self, request: ChatRequest, call: Call) -> Iterator[Piece]:
        """Run one attempt. Raises: ProviderError."""
        sdk = self._client()
        return exchange(call, lambda: self._asked(sdk, request), ChatAnswer())

    def _asked(self, sdk: OpenAI, request: ChatRequest) -> AbstractContextManager[Response]:
        from openai import Omit, omit

        # Their name for an id by which a caller finds a request in the vendor's log.
        headers: dict[str, str | Omit] = {"X-Client-Request-Id": request.job} if request.job else {}
        if self._access.key is None:
            headers["Authorization"] = Omit()
        return sdk.chat.completions.with_streaming_response.create(
            model=request.model,
            messages=messages_of(request),
            tools=tools_of(request) or omit,
            stream=True,
            stream_options={"include_usage": True},
            extra_headers=headers,
            timeout=timeouts(request),
        )

    def _client(self) -> OpenAI:
        with self._lock:
            if self._sdk is None:
                import openai

                silence("openai")
                address = self._access.base_url or _ADDRESS
                # Both are given, so that the SDK does not look for them in the environment.
                self._sdk = openai.OpenAI(
                    api_key=self._access.key.reveal() if self._access.key else "none",
                    base_url=address,
                    max_retries=0,
                    http_client=http_client(address),
                )
            return self._sdk
