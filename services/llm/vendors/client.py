"""The HTTP client a vendor's SDK is given: sockets that can be shut, no redirects, bounded answers.

Proxies and certificates come from the environment, as with the SDKs' own clients.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx2

from services.llm.provider import ChatRequest, ProviderError
from services.outgoing.transport import WatchedTransport

# Below the 5 s after which uvicorn, which serves many local models, closes an idle connection: a request
# that meets the close may or may not have been read.
_KEEPALIVE_S = 4.0
_WRITE_S = 30.0
# An answer of the largest size that is kept comes in chunks of a few letters, each with its wrapping.
_ANSWER_BYTES = 256 * 1024 * 1024
_REFUSAL_BYTES = 64 * 1024


def http_client(base_url: str) -> httpx2.Client:
    """A client for requests to `base_url`. Serves any number of threads, each within `watching`."""
    return httpx2.Client(
        transport=_Transport(base_url, idle_s=_KEEPALIVE_S),
        # What is not compressed can not swell in memory.
        headers={"accept-encoding": "identity"},
        follow_redirects=False,
    )


def timeouts(request: ChatRequest) -> httpx2.Timeout:
    """The limits of one request. Connections are not limited in number, so nobody waits for one."""
    return httpx2.Timeout(
        connect=request.connect_s, read=request.idle_s, write=_WRITE_S, pool=request.connect_s
    )


def silence(*sdks: str) -> None:
    """Keep what SDK and client log about requests out of the logs. To be called after the SDK's import.

    `OPENAI_LOG` and `ANTHROPIC_LOG` set these levels when the SDK is imported, and bodies would follow.
    """
    for name in (*sdks, "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)


class _Transport(WatchedTransport):
    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request; its answer is bounded."""
        response = super().handle_request(request)
        assert isinstance(response.stream, httpx2.SyncByteStream)
        body = _Body(response.stream, is_answer=response.status_code == 200)
        response.stream = body
        if response.headers.get("content-encoding", "identity") != "identity":
            _refuse_encoded(response, body)
        return response


class _Body(httpx2.SyncByteStream):
    """The body of a response up to its bound."""

    def __init__(self, inner: httpx2.SyncByteStream, *, is_answer: bool) -> None:
        self._inner, self._is_answer = inner, is_answer

    def __iter__(self) -> Iterator[bytes]:
        room = _ANSWER_BYTES if self._is_answer else _REFUSAL_BYTES
        for part in self._inner:
            room -= len(part)
            if room < 0 and self._is_answer:
                raise ProviderError("malformed", code="answer_too_large")
            if room < 0:
                return
            yield part

    def close(self) -> None:
        """Let the connection go."""
        self._inner.close()


def _refuse_encoded(response: httpx2.Response, body: _Body) -> None:
    """Nobody asked for an encoding. Of a refusal the status still tells; an answer is lost."""
    body.close()
    if response.status_code == 200:
        raise ProviderError("malformed", code="encoded_answer")
    del response.headers["content-encoding"]
    response.stream = httpx2.ByteStream(b"")
