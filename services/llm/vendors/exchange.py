"""One request to a vendor and the reading of its answer, the same for every vendor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol

import httpx2

from services.llm.provider import Call, Piece, ProviderError
from services.llm.vendors.failures import failure_of
from services.llm.vendors.sse import ServerEvent, server_events
from services.outgoing.watch import Watch, watching


class Response(Protocol):
    """What an SDK gives for a request whose answer is streamed."""

    def iter_bytes(self) -> Iterator[bytes]:
        """The body as it comes."""


class Answer(Protocol):
    """A vendor's answer being put together."""

    def feed(self, event: ServerEvent) -> Iterator[Piece]:
        """The pieces that are complete with this event. Raises: ProviderError."""

    def patience_s(self) -> float | None:
        """How long to wait for what may follow the terminal marker; None while that has not come."""

    def end(self) -> Iterator[Piece]:
        """What is told last, `Finished` at the end. Raises: ProviderError("truncated")."""


def exchange(
    call: Call, send: Callable[[], AbstractContextManager[Response]], answer: Answer
) -> Iterator[Piece]:
    """Send, and yield the pieces of the answer. Raises: ProviderError."""
    watch = Watch(call)
    is_answering = False
    try:
        with ExitStack() as held:
            with watching(watch):
                response = held.enter_context(send())
            is_answering = True
            for piece in _pieces(response, answer, watch):
                watch.check()
                yield piece
    except Exception as error:
        # The border to SDK and network. What is neither's error is a defect and goes on as it is.
        failure = failure_of(error, is_started=watch.is_started, is_answering=is_answering)
        if call.is_cancelled():
            raise ProviderError("cancelled") from None
        if failure is None:
            raise
        raise failure from None
    finally:
        watch.release()


def _pieces(response: Response, answer: Answer, watch: Watch) -> Iterator[Piece]:
    """The answer is read on after its terminal marker, briefly: so the connection can serve again."""
    try:
        for event in server_events(response.iter_bytes()):
            yield from answer.feed(event)
            watch.limit_s = answer.patience_s()
    except httpx2.TransportError:
        if answer.patience_s() is None:
            raise
    yield from answer.end()
