"""The provider: one kept connection a thread, pieces as they come, ends and errors by their names."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Iterator

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

from .kept import KeptConnections
from .lines import BadLine, Line, Refusal, ask, lines

_SENT = ("model", "system", "messages", "tools", "session", "job")
_KINDS_BY_REASON: dict[str, ErrorKind] = {"context_too_long": "context_too_long", "quota": "quota"}
_REFUSAL_BYTES = 64 * 1024


class BriskProvider:
    """Serves any number of threads; a cancel shuts the socket of its own thread only."""

    name = "brisk"
    context_tokens = 128_000

    def __init__(self, model: str) -> None:
        problems = [] if model else ["brisk needs a model: brisk:<model>"]
        try:
            self._connections = KeptConnections(os.environ.get("BRISK_BASE_URL", ""))
        except ValueError:
            problems.append("BRISK_BASE_URL must be set to an http:// address")
        if problems:
            raise ConfigurationError(*problems)

    def stream(self, request: ChatRequest, call: Call) -> Iterator[Piece]:
        """Run one attempt. Raises: ProviderError."""
        is_at_rest, sent, answering = False, False, False
        forget = None
        try:
            connection = self._connections.ready(connect_s=request.connect_s, idle_s=request.idle_s)
            opened = connection.sock
            forget = call.on_cancel(lambda: opened.shutdown(socket.SHUT_RDWR))
            call.starting()
            sent = True
            response = ask(connection, {name: getattr(request, name) for name in _SENT})
            answering = True
            if response.status != 200:
                raise _refusal(response)
            yield from _pieces(response, call)
            is_at_rest = not response.will_close
        except (OSError, http.client.HTTPException, BadLine, ProviderError) as error:
            raise _judged(error, call, sent=sent, answering=answering) from error
        finally:
            # Before anybody else may use the connection: a late cancel must find nothing to shut.
            if forget is not None:
                forget()
            if not is_at_rest:
                self._connections.drop()


def _pieces(response: http.client.HTTPResponse, call: Call) -> Iterator[Piece]:
    finished: Finished | None = None
    for line in lines(response):
        if call.is_cancelled():
            raise ProviderError("cancelled")
        if finished is not None:
            raise ProviderError("malformed", code="line_after_end")
        piece = _piece(line)
        if isinstance(piece, Finished):
            finished = piece
        else:
            yield piece
    if finished is None:
        raise ProviderError("truncated", code="no_end")
    yield finished


def _piece(line: Line) -> Piece:
    if line.text is not None:
        return TextDelta(line.text)
    if line.done is not None:
        return Finished(reason=line.done, model=line.model)
    if line.usage is not None:
        usage = line.usage
        return TokenUsage(
            input=usage.input,
            output=usage.output,
            cached=usage.cached,
            cache_write=usage.cache_write,
            reasoning=usage.reasoning,
        )
    if line.tool_call is not None:
        tool = line.tool_call
        return ToolCallRequest(id=tool.id, name=tool.name, arguments=tool.arguments)
    if line.error is not None:
        raise ProviderError("overloaded" if line.error == "overloaded" else "ambiguous", code="stream_error")
    raise ProviderError("malformed", code="bad_line")


def _refusal(response: http.client.HTTPResponse) -> ProviderError:
    try:
        reason = msgspec.json.decode(response.read(_REFUSAL_BYTES), type=Refusal).error
    except (msgspec.DecodeError, RecursionError):
        reason = ""
    return status_error(
        response.status,
        retry_after=response.getheader("retry-after", ""),
        kind=_KINDS_BY_REASON.get(reason),
    )


def _judged(error: Exception, call: Call, *, sent: bool, answering: bool) -> ProviderError:
    if call.is_cancelled():
        return ProviderError("cancelled")
    match error:
        case ProviderError():
            return error
        case BadLine():
            return ProviderError("malformed", code="bad_line")
        case _ if not sent:
            return ProviderError("not_sent", code="connect")
        case TimeoutError():
            return ProviderError("ambiguous", code="idle_timeout")
        case _ if answering:
            return ProviderError("truncated", code="connection_lost")
        case _:
            return ProviderError("ambiguous", code="connection_lost")
