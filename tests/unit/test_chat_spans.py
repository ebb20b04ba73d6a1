"""The span of an attempt at a model: its name, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from services.jobs.claims import Claim
from services.jobs.traces import RunSpans
from services.llm.answer import Answer
from services.llm.deltas import Deltas
from services.llm.provider import ChatRequest, Finished
from services.llm.spans import ChatSpans
from services.processors.advance import Held
from services.streams.event import JobId, StreamId
from services.streams.store import Store
from services.streams.vocabulary import AttemptFacts, Usage
from services.telemetry.context import Trace, new_trace
from services.telemetry.conventions import SpanKind
from services.telemetry.counters import Counters, Series
from services.telemetry.tracer import Attribute, Attributes, Span

HELD = Held(kind="llm", id=JobId("app:a@1"), stream=StreamId("app:a"), token=2)
CLAIM = Claim(
    token=2,
    attempt=2,
    charged=1,
    prior="",
    error="worker_lost",
    expired=False,
    since=700,
    due=800,
    now=1_000,
    offset=1,
)


class Kept:
    """A span that keeps what it is told; and the tracer that makes it."""

    records = True

    def __init__(self) -> None:
        self.trace, self.name, self.error = new_trace(), "", ""
        self.attributes: dict[str, Attribute] = {}

    def begin(
        self,
        name: str,
        *,
        kind: SpanKind = "internal",
        parent: Trace | None = None,
        links: Sequence[Trace] = (),
        attributes: Attributes | None = None,
        start_ms: float | None = None,
        span_id: str = "",
        baggage: str = "",
    ) -> Span:
        self.name, self.attributes = name, dict(attributes or {})
        return self

    def set(self, attributes: Attributes) -> None:
        self.attributes.update(attributes)

    def fail(self, error_type: str) -> None:
        self.error = error_type

    def enter(self) -> Callable[[], None]:
        return lambda: None

    def end(self) -> None: ...


def asked(model: str, kind: str, facts: AttemptFacts, answered: str = "") -> tuple[Kept, Counters]:
    """An attempt at `model` that ended as `kind`."""
    kept, counters = Kept(), Counters()
    spans = ChatSpans(RunSpans(kept, counters))
    answer = Answer("", Deltas(Store("unix:///nonexistent"), "c", HELD.id, 1))
    if answered:
        answer.add(Finished(reason="stop", model=answered))
    span = spans.begin(HELD, CLAIM, model, ChatRequest(model=model.partition(":")[2], system="", messages=()))
    spans.ended(span, kind, answer, facts, model=model)
    return kept, counters


@pytest.mark.parametrize(
    ("model", "name", "provider"),
    [("acme:tiny", "chat tiny", "acme"), ("offline", "chat offline", "offline"), ("v:a:b", "chat a:b", "v")],
)
def test_a_span_is_called_after_its_model(model: str, name: str, provider: str) -> None:
    kept, _ = asked(model, "succeeded", AttemptFacts(), answered="tiny-2026")

    assert kept.name == name
    assert kept.attributes["gen_ai.provider.name"] == provider
    assert kept.attributes["gen_ai.request.model"] == name.removeprefix("chat ")
    assert kept.attributes["gen_ai.response.model"] == "tiny-2026"
    assert kept.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert kept.error == ""


def test_waits_tokens_cost_and_the_kind_of_error_are_told() -> None:
    usage = Usage(input=10, output=2, cached=4, cost_microusd=1500)
    kept, counters = asked("acme:tiny", "overloaded", AttemptFacts(first_ms=120, usage=usage))

    told = {
        "turnwright.queue.wait_ms": 200,
        "turnwright.lease.wait_ms": 300,
        "turnwright.job.attempt": 2,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.response.time_to_first_chunk": 0.12,
        "turnwright.cost_usd": 0.0015,
    }
    assert told.items() <= kept.attributes.items()
    assert "gen_ai.response.model" not in kept.attributes
    assert kept.error == "overloaded"
    counted = counters.totals()
    assert counted[Series("turnwright_llm_attempts_total", ("acme:tiny", "overloaded"))] == 1
    assert counted[Series("turnwright_tokens_total", ("acme:tiny", "cached"))] == 4
    assert counted[Series("turnwright_cost_usd_total", ("acme:tiny",))] == 1500
