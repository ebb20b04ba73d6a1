"""Publishing hints through the broker: the port that the wake-up thread writes to.

The messages are Celery's (protocol 2), written ready-made: through `send_task` each would cost twice as much.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from kombu import Connection, Producer
from kombu.exceptions import BatchPublishError, OperationalError
from kombu.transport.redis import Channel, Transport

from services.errors import Unavailable
from services.jobs.wake import Hint
from services.streams.keys import Kind
from services.telemetry import conventions as names
from services.telemetry.tracer import NoTracer, Tracer
from tasks.work import BAGGAGE, PARENT, SENT_MS, task_name

if TYPE_CHECKING:
    from celery import Celery

# What Celery asks of a message beside its name and id; it does nothing with these here.
HEADERS: dict[str, object] = {
    "lang": "py",
    "argsrepr": "",
    "kwargsrepr": "",
    "retries": 0,
    "timelimit": [None, None],
    "ignore_result": True,
}
EMBEDDED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


class OneClientChannel(Channel):  # type: ignore[misc]  # Kombu publishes no types
    """Kombu makes a Redis client for each command, which costs more than the command; this keeps the first.

    The client holds no connection: those are the pool's, and the channel's end is the pool's.
    """

    _kept: object = None

    def _create_client(self, asynchronous: bool = False) -> object:
        if asynchronous:
            return super()._create_client(asynchronous=True)
        if self._kept is None:
            self._kept = super()._create_client()
        return self._kept


class OneClientTransport(Transport):  # type: ignore[misc]  # Kombu publishes no types
    """Kombu's transport for Redis, with such channels."""

    Channel = OneClientChannel


class CeleryHints:
    """Sends hints as Celery tasks, from one thread. Connects at first use, and anew after a failure."""

    def __init__(self, app: Celery, namespace: str, tracer: Tracer | None = None) -> None:
        self._app, self._namespace = app, namespace
        self._tracer = tracer or NoTracer()
        self._connection: Connection | None = None
        self._producer: Producer | None = None

    def publish(self, hints: Sequence[Hint]) -> None:
        """See `jobs.wake.HintPort`."""
        try:
            producer = self._connected()
            with producer.batch():
                for hint in hints:
                    self._send(producer, hint)
        except Exception as error:
            if self._lost(error):
                raise Unavailable("the broker does not answer") from error
            raise

    def _send(self, producer: Producer, hint: Hint) -> None:
        id = str(uuid.uuid4())
        name = task_name(hint.kind)
        headers = {**HEADERS, "task": name, "id": id, "root_id": id, SENT_MS: time.time_ns() // 1_000_000}
        if hint.cause is None and not self._tracer.records:
            return self._put(producer, hint, id, headers)
        span = self._tracer.begin(
            f"send {name}",
            kind="producer",
            parent=hint.cause,
            attributes={
                names.MESSAGING_SYSTEM: names.CELERY,
                names.MESSAGING_OPERATION: "send",
                names.MESSAGING_OPERATION_TYPE: "send",
                names.MESSAGING_DESTINATION: name,
                names.MESSAGING_MESSAGE_ID: id,
            },
        )
        headers[PARENT] = span.trace.parent
        if span.trace.baggage:
            headers[BAGGAGE] = span.trace.baggage
        try:
            self._put(producer, hint, id, headers)
        except Exception as error:
            span.fail(type(error).__name__)
            raise
        finally:
            span.end()

    def _put(self, producer: Producer, hint: Hint, id: str, headers: dict[str, object]) -> None:
        producer.publish(
            msgspec.json.encode(((str(hint.shard), hint.id), {}, EMBEDDED)).decode(),
            # The default exchange: straight to the queue of that name.
            exchange="",
            routing_key=self._queue(hint.kind),
            headers=headers,
            content_type="application/json",
            content_encoding="utf-8",
            correlation_id=id,
            retry=False,
        )

    def backlog(self, kind: Kind) -> int:
        """See `jobs.wake.HintPort`."""
        try:
            # Declared, not asked after passively: Kombu looks for the queue without the keys' common prefix.
            return int(self._connected().channel.queue_declare(self._queue(kind)).message_count)
        except Exception as error:
            if self._lost(error):
                raise Unavailable("the broker does not answer") from error
            raise

    def _lost(self, error: Exception) -> bool:
        """Let go of the connection, whatever the error; whether it was that of a broker that is away."""
        connection, self._connection, self._producer = self._connection, None, None
        away: tuple[type[BaseException], ...] = (BatchPublishError, OperationalError, OSError)
        if connection is not None:
            away += connection.connection_errors
            connection.release()
        return isinstance(error, away)

    def _queue(self, kind: Kind) -> str:
        return f"{self._namespace}.{kind}"

    def _connected(self) -> Producer:
        if self._producer is None:
            self._connection = self._app.connection_for_write()
            if issubclass(self._connection.get_transport_cls(), Transport):
                self._connection.transport_cls = OneClientTransport
            self._connection.ensure_connection(max_retries=1, timeout=2)
            self._producer = Producer(self._connection, auto_declare=False)
        return self._producer
