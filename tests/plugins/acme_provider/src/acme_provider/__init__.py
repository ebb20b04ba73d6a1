"""Example provider `acme:<model>`: the smallest HTTP provider that keeps every promise of the protocol.

`POST {ACME_BASE_URL}/v1/stream` with the request as JSON; the answer is one JSON object per line:
{"text"}, {"tool_call"}, {"usage"}, {"error"} and, at the end, {"done", "model"}.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import httpx2
import msgspec

from turnwright import (
    Call,
    ChatRequest,
    ConfigurationError,
    ErrorKind,
    Finished,
    Piece,
    ProviderError,
    TextDelta,
    TokenUsage,
    ToolCallRequest,
    status_error,
)

from .connection import CancellableConnection
from .wire import Line, Refusal, encode_request, lines_of

_KINDS_BY_REASON: dict[str, ErrorKind] = {"context_too_long": "context_too_long", "quota": "quota"}
_WRITE_S = 30.0
_REFUSAL_BYTES = 64 * 1024


class AcmeProvider:
    """Serves any number of threads from one client; connections are not reused (see `connection`)."""

    name = "acme"
    context_tokens = 128_000

    def __init__(self, model: str) -> None:
        base_url = os.environ.get("ACME_BASE_URL", "")
        problems = [] if model else ["acme needs a model: acme:<model>"]
        if not base_url.startswith(("http://", "https://")):
            problems.append("ACME_BASE_URL must be set to an http:// or https:// address")
        if problems:
            raise ConfigurationError(*problems)
        self._client = httpx2.Client(
            base_url=base_url,
            headers={"accept-encoding": "identity"},
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
            trust_env=False,
        )

    def stream(self, request: ChatRequest, call: Call) -> Iterator[Piece]:
        """Run one attempt. Raises: ProviderError."""
        connection = CancellableConnection(call)
        outgoing = self._client.build_request(
            "POST",
            "/v1/stream",
            content=encode_request(request),
            headers={"content-type": "application/json"},
            timeout=httpx2.Timeout(
                connect=request.connect_s, read=request.idle_s, write=_WRITE_S, pool=request.connect_s
            ),
            extensions={"trace": connection.trace},
        )
        response: httpx2.Response | None = None
        try:
            response = self._client.send(outgoing, stream=True)
            if response.status_code != 200:
                raise _refusal(response)
            for piece in _pieces(response):
                if call.is_cancelled():
                    raise ProviderError("cancelled")
                yield piece
        except (httpx2.HTTPError, ProviderError) as error:
            raise _judged(error, call, is_answering=response is not None) from error
        finally:
            connection.release()
            if response is not None:
                response.close()


def _pieces(response: httpx2.Response) -> Iterator[Piece]:
    for body in lines_of(response.iter_raw()):
        try:
            line = msgspec.json.decode(body, type=Line)
        except (msgspec.DecodeError, RecursionError):
            raise ProviderError("malformed", code="bad_line") from None
        piece = _piece(line)
        yield piece
        if isinstance(piece, Finished):
            return
    raise ProviderError("truncated", code="no_end")


def _piece(line: Line) -> TextDelta | ToolCallRequest | TokenUsage | Finished:
    if line.error is not None:
        kind: ErrorKind = "overloaded" if line.error == "overloaded" else "ambiguous"
        raise ProviderError(kind, code="stream_error")
    if line.text is not None:
        return TextDelta(line.text)
    piece = line.tool_call or line.usage
    if piece is not None:
        return piece
    if line.done is not None:
        return Finished(reason=line.done, model=line.model)
    raise ProviderError("malformed", code="bad_line")


def _refusal(response: httpx2.Response) -> ProviderError:
    body = b""
    for part in response.iter_raw():
        body += part
        if len(body) > _REFUSAL_BYTES:
            break
    try:
        reason = msgspec.json.decode(body, type=Refusal).error
    except (msgspec.DecodeError, RecursionError):
        reason = ""
    return status_error(
        response.status_code,
        retry_after=response.headers.get("retry-after", ""),
        kind=_KINDS_BY_REASON.get(reason),
    )


def _judged(error: httpx2.HTTPError | ProviderError, call: Call, *, is_answering: bool) -> ProviderError:
    if call.is_cancelled():
        return ProviderError("cancelled")
    if isinstance(error, ProviderError):
        return error
    if isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)):
        return ProviderError("not_sent", code="connect")
    if isinstance(error, httpx2.TimeoutException):
        return ProviderError("ambiguous", code="idle_timeout")
    if is_answering:
        return ProviderError("truncated", code="connection_lost")
    return ProviderError("ambiguous", code="connection_lost")
