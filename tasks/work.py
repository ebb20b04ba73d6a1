"""The tasks: a name, a queue, one call. Arguments are a shard and an id, both as text."""

from __future__ import annotations

import os

from celery import Celery, Task

from services.errors import Revoked
from services.jobs.incarnation import REVOKED_EXIT
from services.streams.keys import KINDS, Kind

ID_LIMIT = 300


def define_tasks(app: Celery) -> None:
    """Register one task per kind of work."""
    for kind in KINDS:
        _define(app, kind)


def task_name(kind: Kind) -> str:
    """The name of a kind's task on the wire."""
    return f"turnwright.{kind}"


def _define(app: Celery, kind: Kind) -> None:
    # Not shared: Celery would otherwise offer one app's tasks to every other app of the process.
    @app.task(  # type: ignore[untyped-decorator]
        name=task_name(kind), bind=True, ignore_result=True, typing=False, shared=False
    )
    def work(self: Task, *args: object, **kwargs: object) -> None:
        id = args[1] if len(args) == 2 else None
        if not isinstance(id, str) or not 0 < len(id) <= ID_LIMIT or not id.isascii():
            return
        try:
            engine = self.app.engine
            if engine is not None:
                engine.worker.handle(kind, id)
        except Revoked:
            os._exit(REVOKED_EXIT)
