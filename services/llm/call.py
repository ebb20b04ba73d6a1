"""One running attempt at a model request: how it is stopped, and how its pieces are kept honest.

Neither retries nor stores; what an attempt's end means for its job is decided by who runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

import msgspec

from services.errors import TurnwrightError
from services.jobs.attempt import RunningAttempt
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


class RunningCall(RunningAttempt, Call):
    """The `Call` of one attempt. It is cancelled with `wall` after `wall_s`.

    `may_start` is asked once more right before the first byte leaves (is the lease still ours?); it must neither
    block nor raise.
    """

    def __init__(
        self, *, deadlines: Deadlines, wall_s: float, may_start: Callable[[], bool] = _always
    ) -> None:
        super().__init__(deadlines=deadlines, lasts_s=wall_s, timeout=WALL)
        self._may_start = may_start

    def _refusal(self) -> str:
        return "" if self._may_start() else MAY_NOT_START

    def _stopped(self) -> ProviderError:
        return ProviderError("cancelled", code=self.cancel_reason)


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
