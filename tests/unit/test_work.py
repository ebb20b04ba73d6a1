"""What reaches a worker from a hint: ids that could be ours, nothing else."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest
from celery import Celery

from services.jobs.received import Received
from services.streams.keys import Kind
from services.telemetry.context import Trace
from tasks.work import ID_LIMIT, define_tasks, task_name


@dataclass
class Following:
    """Stands for the worker, and for the engine it belongs to."""

    followed: list[tuple[Kind, str]] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    baggage_keys: frozenset[str] = frozenset({"gen_ai.agent.name"})

    @property
    def worker(self) -> Following:
        """Itself."""
        return self

    def handle(self, kind: Kind, id: str, received: Received) -> None:
        """Note it."""
        self.followed.append((kind, id))
        self.received.append(received)


@pytest.fixture
def app() -> Celery:
    made = Celery(broker="memory://", set_as_current=False)
    made.engine = Following()
    define_tasks(made)
    return made


def test_an_id_is_followed(app: Celery) -> None:
    app.tasks[task_name("llm")]("3", "app:a@1")

    assert app.engine.followed == [("llm", "app:a@1")]


@pytest.mark.parametrize("id", ["", "x" * (ID_LIMIT + 1), "\ud800", "ünïcödé", None, 1, ["app:a"]])
def test_what_can_be_no_id_is_not_followed(app: Celery, id: object) -> None:
    app.tasks[task_name("advance")]("3", id)

    assert app.engine.followed == []


PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


def told(app: Celery, **headers: object) -> Received:
    """What the worker hears of a hint with these headers."""
    task = app.tasks[task_name("llm")]
    task.push_request(**headers)
    try:
        task.run("3", "app:a@1")
    finally:
        task.pop_request()
    last: Received = app.engine.received[-1]
    return last


def test_the_headers_of_a_hint_say_where_it_comes_from(app: Celery) -> None:
    sent_ms = time.time_ns() // 1_000_000 - 250
    baggage = "gen_ai.agent.name=clerk,password=hunter2"

    received = told(app, id="m-1", traceparent=PARENT, baggage=baggage, sent_ms=sent_ms)

    assert received.trace == Trace("a" * 32, "b" * 16, 1, "gen_ai.agent.name=clerk")
    assert 250 <= received.waited_ms < 10_000
    assert received.message == "m-1"


@pytest.mark.parametrize(
    "headers",
    [
        {"traceparent": "garbage", "baggage": "x", "sent_ms": "yesterday"},
        {"traceparent": 7, "baggage": ["x"], "sent_ms": -1},
        {"traceparent": PARENT.replace("00-", "ff-"), "sent_ms": 10**18},
        {"traceparent": {"a": 1}, "id": {"b": 2}, "sent_ms": True},
    ],
)
def test_forged_headers_say_nothing(app: Celery, headers: dict[str, object]) -> None:
    received = told(app, **headers)

    assert (received.trace, received.waited_ms) == (None, 0)
