"""One attempt at a model request, from its beginning to its end: the only place where a vendor is called.

What it was is told as a value, `Ended`; what follows from it is decided by the runner of the job.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import msgspec

from services.clock import boot_s
from services.errors import TurnwrightError
from services.faults import Faults
from services.jobs.claims import Claim, Claims
from services.jobs.deadline import Deadlines
from services.jobs.running import Running
from services.llm.answer import Answer
from services.llm.call import RunningCall, stream_run
from services.llm.prices import Prices
from services.llm.provider import ChatRequest, Provider, ProviderError
from services.llm.spans import ChatSpans
from services.processors.advance import Held
from services.streams.vocabulary import AttemptFacts
from services.telemetry.tracer import within

FRESH_S = 0.5
TOO_LARGE = "answer_too_large"
TOO_MANY_CALLS = "too_many_tool_calls"

_UNSAFE = re.compile(r"[^A-Za-z0-9_.:-]")


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that is over. `model` is the one asked, as configured.

    `kind` is `succeeded`, an error kind of providers, or why the answer can not be used; of a `cancelled` one
    the code in `facts` says who stopped it.
    """

    model: str
    kind: str
    answer: Answer
    facts: AttemptFacts
    retry_after_s: float | None = None


class Attempts:
    """Makes attempts in this process, each stoppable from other threads while it runs."""

    def __init__(
        self,
        claims: Claims,
        running: Running,
        prices: Prices,
        *,
        may_start: Callable[[], bool],
        faults: Faults,
        spans: ChatSpans,
    ) -> None:
        self._claims, self._running, self._prices = claims, running, prices
        self._may_start, self._faults, self._spans = may_start, faults, spans
        self._deadlines = Deadlines()

    def run(
        self,
        held: Held,
        claim: Claim,
        request: ChatRequest,
        *,
        model: str,
        provider: Provider,
        answer: Answer,
    ) -> Ended:
        """Ask `provider` once, and gather what comes in `answer`. Limits of time are those of `request`.

        Raises: Unavailable when the store is gone.
        """
        with within(self._spans.begin(held, claim, model, request), held.stream, lets_in=True) as span:
            ended = self._asked(held, claim, request, model=model, provider=provider, answer=answer)
            self._spans.ended(span, ended.kind, answer, ended.facts, model=model)
        return ended

    def _asked(
        self,
        held: Held,
        claim: Claim,
        request: ChatRequest,
        *,
        model: str,
        provider: Provider,
        answer: Answer,
    ) -> Ended:
        began = time.monotonic()
        first_ms, error = -1, None
        call = RunningCall(
            deadlines=self._deadlines, wall_s=request.wall_s, may_start=lambda: self._may(held, claim)
        )
        self._running.add(held, call)
        try:
            with call:
                for piece in stream_run(provider, request, call):
                    answer.add(piece)
                    if first_ms < 0 and answer.has_begun:
                        first_ms = _since(began)
                    if answer.is_too_large:
                        call.cancel(TOO_LARGE)
                    self._faults.at("llm.streaming")
        except ProviderError as caught:
            error = caught
        finally:
            self._running.remove(held)
            answer.deltas.end()
        kind = _kind(error, call, answer)
        facts = AttemptFacts(
            phase="streaming" if answer.has_begun else "waiting" if call.is_started else "unsent",
            code=_code(error, call),
            spent_ms=_since(began),
            first_ms=first_ms,
            usage=self._prices.priced(model, answer.usage),
        )
        retry_after_s = error.retry_after_s if error else None
        return Ended(model=model, kind=kind, answer=answer, facts=facts, retry_after_s=retry_after_s)

    def _may(self, held: Held, claim: Claim) -> bool:
        """Asked right before the first byte: is the lease alive, and does the job still want us?

        Of one that was claimed this instant nobody else can know yet; whoever stops it is heard while it runs.
        """
        is_fresh = boot_s() - claim.asked < FRESH_S
        try:
            may = self._may_start() and (is_fresh or self._claims.is_ours(held))
        except TurnwrightError:
            return False
        self._faults.at("llm.asking")
        return may


def _kind(error: ProviderError | None, call: RunningCall, answer: Answer) -> str:
    if answer.is_too_large and (error is None or call.cancel_reason == TOO_LARGE):
        return TOO_LARGE
    if error is not None:
        return error.kind
    return TOO_MANY_CALLS if answer.has_too_many_calls else "succeeded"


def _code(error: ProviderError | None, call: RunningCall) -> str:
    """A detail that is safe to keep, whatever a plugin put there."""
    if error is None:
        return ""
    code = call.cancel_reason if error.kind == "cancelled" else error.code
    return _UNSAFE.sub("_", code)[:80]


def _since(began: float) -> int:
    return int((time.monotonic() - began) * 1000)
