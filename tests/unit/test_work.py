"""What reaches a worker from a hint: ids that could be ours, nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from celery import Celery

from services.streams.keys import Kind
from tasks.work import ID_LIMIT, define_tasks, task_name


@dataclass
class Following:
    """Stands for the worker, and for the engine it belongs to."""

    followed: list[tuple[Kind, str]] = field(default_factory=list)

    @property
    def worker(self) -> Following:
        """Itself."""
        return self

    def handle(self, kind: Kind, id: str) -> None:
        """Note it."""
        self.followed.append((kind, id))


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
