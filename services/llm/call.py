"""One running attempt at a model request: how it is stopped, and how its pieces are kept honest.

Neither retries nor stores; what an attempt's end means for its job is decided by who runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from types import TracebackType

import msgspec

from services.errors import TurnwrightError
from services.jobs.cancellation import Cancellation
from services.jobs.deadline import Deadlines
from services.llm.provider import (
    Call,
    ChatRequest,
    Finished,
    Piece,
    Provider,
    ProviderError,
    ToolCallRequest,
)

WALL = "wall"
MAY_NOT_START = "may_not_start"


def _always() -> bool:
    return True


class RunningCall(Call):
    """The `Call` of one attempt, used as a context manager that disarms its wall limit at the end.

    `wall_s` counts from here on a monotonic clock. `may_start` is asked once more right before the first
    byte leaves (is the lease still ours?); it must neither block nor raise.
    """

    def __init__(
        self, *, deadlines: Deadlines, wall_s: float, may_start: Callable[[], bool] = _always
    ) -> None:
        self._cancellation = Cancellation()
        self._may_start = may_start
        self._is_started = False
        self._disarm = deadlines.arm(wall_s, lambda: self.cancel(WALL))

    def __enter__(self) -> RunningCall:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._disarm()

    def cancel(self, reason: str) -> None:
        """Stop this attempt from any thread; the first reason stays. `reason` is a safe code."""
        self._cancellation.set(reason)

    @property
    def cancel_reason(self) -> str:
        """The reason of the first cancel, `wall` for the limit, `may_not_start`, or empty."""
        return self._cancellation.reason

    @property
    def is_started(self) -> bool:
        """Whether the provider was let through to send its first byte."""
        return self._is_started

    def starting(self) -> None:
        """Refuse the first byte of an attempt that was cancelled or whose lease is gone."""
        if not self._cancellation.is_set() and not self._may_start():
            self._cancellation.set(MAY_NOT_START)
        if self._cancellation.is_set():
            raise ProviderError("cancelled", code=self.cancel_reason)
        self._is_started = True

    def on_cancel(self, shut: Callable[[], None]) -> Callable[[], None]:
        """Run `shut` on cancel, at once if that is past; returns how to take it back."""
        return self._cancellation.add(shut)

    def is_cancelled(self) -> bool:
        """Whether this attempt was stopped, by whomever."""
        return self._cancellation.is_set()


def stream_run(provider: Provider, request: ChatRequest, call: RunningCall) -> Generator[Piece, None, None]:
    """Run one attempt as the platform does: `provider.stream` with its promises enforced.

    `Finished` comes exactly once and last; a stream without it is `truncated`. Ids of tool calls that are
    empty or repeated within the answer are made unique: `a`, `a` becomes `a`, `a-2`. An attempt stopped by
    its wall limit is `ambiguous: wall_timeout`, or `not_sent` when it had not started. An exception that the
    protocol does not know, or a piece without `call.starting()`, is a defect of the provider: `rejected`,
    never repeated.
    Raises: ProviderError.
    """
    finished: Finished | None = None
    ids: set[str] = set()
    pieces = _opened(provider, request, call)
    try:
        for piece in pieces:
            if call.is_cancelled():
                raise ProviderError("cancelled")
            if not call.is_started:
                raise ProviderError("rejected", code="defect_not_started")
            if finished is not None:
                raise ProviderError("malformed", code="piece_after_end")
            if isinstance(piece, Finished):
                finished = piece
            elif isinstance(piece, ToolCallRequest):
                yield _with_unique_id(piece, ids)
            else:
                yield piece
    except ProviderError as error:
        raise _judged(error, call) from None
    except TurnwrightError:
        raise
    except Exception as error:
        # The border to plugin code: whatever it lets through must end this attempt, not the worker.
        raise _judged(ProviderError("rejected", code=f"defect_{type(error).__name__}"), call) from error
    finally:
        pieces.close()
    if finished is None:
        raise _judged(ProviderError("truncated", code="no_end"), call)
    yield finished


def _opened(provider: Provider, request: ChatRequest, call: Call) -> Generator[Piece, None, None]:
    yield from provider.stream(request, call)


def _with_unique_id(request: ToolCallRequest, ids: set[str]) -> ToolCallRequest:
    base = request.id or "call"
    unique, n = base, 1
    while unique in ids:
        n += 1
        unique = f"{base}-{n}"
    ids.add(unique)
    return request if unique == request.id else msgspec.structs.replace(request, id=unique)


def _judged(error: ProviderError, call: RunningCall) -> ProviderError:
    if not call.is_cancelled():
        return error
    if call.cancel_reason != WALL:
        return ProviderError("cancelled", code=call.cancel_reason)
    return ProviderError("ambiguous" if call.is_started else "not_sent", code="wall_timeout")
