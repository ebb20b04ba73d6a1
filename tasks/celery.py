"""The Celery app: `celery -A tasks.celery worker` and `beat` find it here.

Messages are gone once they are read, carry two ids, and may be lost, doubled or forged: they only say where
to look. Reads the environment when Celery first needs its configuration, not at import.
"""

from __future__ import annotations

from celery import Celery
from kombu import Queue

from services.errors import Unavailable
from services.logs import configure_logging
from services.settings import Settings, load_settings, store_addresses
from services.streams.keys import KINDS
from services.worker_engine import WorkerEngine
from tasks.lifecycle import add_lifecycle
from tasks.work import define_tasks, task_name

SOCKET_TIMEOUT_S = 3
HEALTH_CHECK_S = 2


class TurnwrightCelery(Celery):  # type: ignore[misc]  # Celery publishes no types
    """The app; `engine` is there while a worker runs."""

    engine: WorkerEngine | None = None


def create_app() -> TurnwrightCelery:
    """The app with its tasks, not yet configured."""
    made = TurnwrightCelery("turnwright", set_as_current=False)
    made.add_defaults(lambda: configuration(load_settings()))
    define_tasks(made)
    made.on_after_finalize.connect(_drop_foreign_tasks, weak=False)
    add_lifecycle(made)
    return made


def _drop_foreign_tasks(sender: Celery, **kwargs: object) -> None:
    """Celery brings tasks of its own: nobody here sends them, so nobody may."""
    for name in [name for name in sender.tasks if name not in map(task_name, KINDS)]:
        sender.tasks.unregister(name)


def configuration(settings: Settings) -> dict[str, object]:
    """Celery's configuration: hints are cheap, lossy and short-lived."""
    names = [queue_name(settings, kind) for kind in KINDS]
    queues = [Queue(name, routing_key=name, no_ack=True) for name in names]
    return {
        "broker_url": broker_url(settings),
        "broker_connection_retry_on_startup": True,
        "broker_transport_options": {
            "socket_timeout": SOCKET_TIMEOUT_S,
            "socket_connect_timeout": SOCKET_TIMEOUT_S,
            "socket_keepalive": True,
            "health_check_interval": HEALTH_CHECK_S,
            "priority_steps": [0],
            "global_keyprefix": f"{settings.namespace}:broker:",
        },
        "task_queues": queues,
        "task_default_queue": queue_name(settings, "advance"),
        "task_create_missing_queues": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_acks_late": False,
        "task_store_errors_even_if_ignored": False,
        "worker_consumer": "tasks.consumer:HintConsumer",
        "worker_pool": "threads",
        "worker_concurrency": settings.slots,
        # Read only what a free thread can follow: nothing else bounds a reader that acknowledges nothing.
        "worker_disable_prefetch": True,
        "worker_send_task_events": False,
        "task_send_sent_event": False,
        "worker_hijack_root_logger": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "beat_scheduler": "tasks.beat:RelayScheduler",
        "beat_max_loop_interval": 1,
    }


def queue_name(settings: Settings, kind: str) -> str:
    """The queue of a kind; it carries the namespace, so that dev and prod never meet."""
    return f"{settings.namespace}.{kind}"


def broker_url(settings: Settings) -> str:
    """The broker's address as kombu spells it. Raises: Unavailable."""
    url = store_addresses(settings)[1]
    if not url:
        raise Unavailable("no broker is known")
    return "redis+socket://" + url.removeprefix("unix://") if url.startswith("unix://") else url


def set_up_logging(component: str) -> None:
    """Celery's hook: our logging instead of its own."""
    configure_logging(load_settings(), component)


app = create_app()
