"""Hints on their way to the broker."""

from __future__ import annotations

from celery import Celery

from services.jobs.wake import Hint
from tasks.hints import CeleryHints


def test_a_queue_that_holds_nothing_has_no_backlog() -> None:
    hints = CeleryHints(Celery(broker="memory://", set_as_current=False), "turnwright-unit")

    assert hints.backlog("llm") == 0


def test_published_hints_are_the_backlog_of_their_kind() -> None:
    hints = CeleryHints(Celery(broker="memory://", set_as_current=False), "turnwright-unit-2")

    hints.publish([Hint("tool", 3, "app:a@1.0"), Hint("tool", 3, "app:a@1.1"), Hint("llm", 3, "app:a@2")])

    assert (hints.backlog("tool"), hints.backlog("llm"), hints.backlog("advance")) == (2, 1, 0)
