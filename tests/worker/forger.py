"""Somebody with access to the broker: publishes hints of its own, well-formed ones and anything else."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from types import TracebackType

import redis
from celery import Celery
from kombu import Connection, Queue

QUEUES = ("advance", "llm", "tool", "deliver", "tick")
PREFIX = "turnwright:broker:"


class Forger:
    """Publishes to the broker at `url` of the default namespace."""

    def __init__(self, url: str) -> None:
        address = url.replace("unix://", "redis+socket://")
        self._app = Celery("forger", broker=address, set_as_current=False)
        self._app.conf.update(
            broker_transport_options={"global_keyprefix": PREFIX},
            task_queues=[Queue(f"turnwright.{kind}", routing_key=f"turnwright.{kind}") for kind in QUEUES],
            task_create_missing_queues=False,
        )
        self._connection = Connection(address, transport_options={"global_keyprefix": PREFIX})
        self._redis = redis.Redis.from_url(url)

    def __enter__(self) -> Forger:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._app.close()
        self._connection.release()
        self._redis.close()

    def hint(self, kind: str, *args: object, task: str = "", **kwargs: object) -> None:
        """Send a task to the queue of `kind`, by default the one that belongs there."""
        self._app.send_task(
            task or f"turnwright.{kind}", args=args, kwargs=kwargs, queue=f"turnwright.{kind}", retry=False
        )

    def post(self, kind: str, body: bytes, content_type: str, encoding: str) -> None:
        """Send a message whose content claims to be of any type."""
        headers = {"task": f"turnwright.{kind}", "id": uuid.uuid4().hex, "lang": "py"}
        with self._connection.Producer() as producer:
            producer.publish(
                body,
                routing_key=f"turnwright.{kind}",
                content_type=content_type,
                content_encoding=encoding,
                headers=headers,
            )

    def push(self, kind: str, raw: bytes) -> None:
        """Put bytes where the transport expects its own envelope."""
        self._redis.lpush(f"{PREFIX}turnwright.{kind}", raw)

    def empty(self) -> None:
        """Throw away everything the broker holds."""
        self._redis.flushall()

    def waiting(self) -> int:
        """How many messages nobody has picked up."""
        keys: Sequence[str] = [f"{PREFIX}turnwright.{kind}" for kind in QUEUES]
        return sum(int(self._redis.llen(key)) for key in keys)


def envelope(**fields: object) -> bytes:
    """A message as the transport writes it, with some fields missing or wrong."""
    return json.dumps(fields).encode()
