"""Runs are found in the log however far back, and told from their part of it alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.errors import NotFound
from services.sessions.runs import PAGE, Runs
from services.streams.event import Event, EventInput, JobId, StreamId
from services.streams.keys import Keys
from services.streams.log import MOST_EVENTS, Log
from services.streams.payload import Payload
from services.streams.store import Store
from services.streams.vocabulary import (
    AttemptEnded,
    InputReceived,
    JobStarted,
    LLMRequested,
    LLMSettled,
    StreamCreated,
    ToolRequested,
    ToolSettled,
    Usage,
)

S = StreamId("app:long.one")


class CountingLog(Log):
    """Counts how often it is read."""

    reads = 0

    def read(
        self,
        stream: StreamId,
        *,
        after: int = 0,
        upto: int | None = None,
        limit: int = 100,
        types: frozenset[str] | None = None,
    ) -> list[Event]:
        """See `Log.read`."""
        self.reads += 1
        return super().read(stream, after=after, upto=upto, limit=limit, types=types)


@pytest.fixture
def log(store_url: str, keys: Keys) -> Iterator[CountingLog]:
    store = Store(store_url)
    yield CountingLog(store, keys)
    store.close()


def write(log: Log, *events: tuple[str, Payload], trace: str | None = None) -> None:
    made = [EventInput.of(type, payload, trace=trace) for type, payload in events]
    created = EventInput.of("stream.created", StreamCreated())
    for start in range(0, len(made), MOST_EVENTS):
        log.append(S, made[start : start + MOST_EVENTS], create=created)


def quiet(log: Log, count: int) -> None:
    """Events that belong to no run."""
    write(log, *[("input.received", InputReceived(text="psst", policy="silent"))] * count)


def requested(n: int) -> tuple[str, Payload]:
    return "llm.requested", LLMRequested(turn=n, job=f"{S}@{n}", step=1, inputs=(2,), upto=2, config="c0ffee")


def started(n: int, attempt: int = 1) -> tuple[str, Payload]:
    return "llm.started", JobStarted(job=f"{S}@{n}", attempt=attempt, incarnation=f"i{attempt}")


def settled(n: int) -> tuple[str, Payload]:
    answer = LLMSettled(job=f"{S}@{n}", outcome="succeeded", text="secret", asked="a:1", model="m")
    return "llm.settled", answer


@pytest.mark.parametrize(
    "gaps",
    [
        [0] * 60,
        [0] * 30 + [7 * PAGE] + [1] * 30,
        [9 * PAGE] + [3] * 10,
        [2] * 10 + [9 * PAGE],
        [PAGE - 3, PAGE - 2, PAGE - 1, PAGE],
    ],
    ids=["dense", "a silence amid", "a silence first", "a silence last", "one a page"],
)
def test_every_run_of_a_long_session_is_found(log: CountingLog, gaps: list[int]) -> None:
    for n, gap in enumerate(gaps, start=1):
        quiet(log, gap)
        write(log, requested(n), started(n), settled(n))
    quiet(log, 2 * PAGE)
    runs = Runs(log)

    for n in range(1, len(gaps) + 1):
        log.reads = 0
        found = runs.show(JobId(f"{S}@{n}"))
        assert (found.run, found.turn, found.state, len(found.attempts)) == (f"{S}@{n}", n, "succeeded", 1)
        assert log.reads <= 40
    for n in (0, len(gaps) + 1, 10_000):
        with pytest.raises(NotFound):
            runs.show(JobId(f"{S}@{n}"))


def test_the_list_pages_through_all_runs_newest_first(log: CountingLog) -> None:
    for n in range(1, 26):
        write(log, requested(n), started(n), settled(n))
        quiet(log, 50)
    runs = Runs(log)
    seen: list[str] = []
    cursor: int | None = None
    while True:
        page = runs.page(S, cursor=cursor, limit=10)
        seen += [line.run for line in page.runs]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == [f"{S}@{n}" for n in range(25, 0, -1)]
    assert {(line.state, line.models) for line in page.runs} == {("succeeded", ("a:1",))}


def test_a_session_that_is_not_there_has_no_runs(log: CountingLog) -> None:
    with pytest.raises(NotFound):
        Runs(log).page(S)
    with pytest.raises(NotFound):
        Runs(log).show(JobId(f"{S}@1"))


def test_a_run_tells_of_its_attempts_its_tools_and_where_it_belongs(log: CountingLog) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    usage = Usage(input=5, output=1, cost_microusd=3)
    failed = AttemptEnded(
        job=f"{S}@1",
        error="truncated",
        retry_at=0,
        model="a:1",
        phase="streaming",
        spent_ms=9,
        first_ms=4,
        usage=usage,
    )
    tool = f"{S}@1.0"
    write(
        log,
        requested(1),
        started(1),
        started(1, 2),
        ("llm.attempt_failed", failed),
        started(1, 3),
        settled(1),
        ("tool.requested", ToolRequested(turn=1, job=tool, call="c", name="clock", arguments='"secret"')),
        ("tool.started", JobStarted(job=tool, attempt=1, incarnation="i3", effect="read_only")),
        ("tool.settled", ToolSettled(job=tool, outcome="succeeded", result="secret")),
        requested(2),
        trace=trace,
    )

    run = Runs(log).show(JobId(f"{S}@1"))

    assert (run.session, run.config, run.trace_id) == (S, "c0ffee", "0af7651916cd43dd8448eb211c80319c")
    assert [(each.n, each.outcome, each.error) for each in run.attempts] == [
        (1, "lost", "worker_lost"),
        (2, "failed", "truncated"),
        (3, "succeeded", ""),
    ]
    assert (run.attempts[1].phase, run.attempts[1].first_ms, run.attempts[1].spent_ms) == ("streaming", 4, 9)
    assert (run.models, run.answered_by, run.usage) == (("a:1",), "m", usage)
    [called] = run.tools
    assert (called.job, called.name, called.effect, called.outcome) == (
        tool,
        "clock",
        "read_only",
        "succeeded",
    )
    assert "secret" not in repr(run)
    assert Runs(log).show(JobId(f"{S}@2")).state == "queued"
