"""Publishing hints through the broker: the port that the wake-up thread writes to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kombu import Connection, Producer
from kombu.exceptions import ChannelError, OperationalError

from services.errors import Unavailable
from services.jobs.wake import Hint
from services.streams.keys import Kind
from tasks.work import task_name

if TYPE_CHECKING:
    from celery import Celery


class CeleryHints:
    """Sends hints as Celery tasks, from one thread. Connects at first use, and anew after a failure."""

    def __init__(self, app: Celery, namespace: str) -> None:
        self._app, self._namespace = app, namespace
        self._connection: Connection | None = None
        self._producer: Producer | None = None

    def publish(self, hints: Sequence[Hint]) -> None:
        """See `jobs.wake.HintPort`."""
        try:
            producer = self._connected()
            for hint in hints:
                self._app.send_task(
                    task_name(hint.kind),
                    args=(str(hint.shard), hint.id),
                    queue=self._queue(hint.kind),
                    producer=producer,
                    ignore_result=True,
                    retry=False,
                )
        except (OperationalError, OSError) as error:
            self._forget()
            raise Unavailable("the broker does not answer") from error
        except Exception:
            self._forget()
            raise

    def backlog(self, kind: Kind) -> int:
        """See `jobs.wake.HintPort`."""
        try:
            queue = self._queue(kind)
            return int(self._connected().channel.queue_declare(queue, passive=True).message_count)
        except ChannelError:
            # On Redis an empty queue is one that is not there.
            return 0
        except (OperationalError, OSError) as error:
            self._forget()
            raise Unavailable("the broker does not answer") from error
        except Exception:
            self._forget()
            raise

    def _queue(self, kind: Kind) -> str:
        return f"{self._namespace}.{kind}"

    def _connected(self) -> Producer:
        if self._producer is None:
            self._connection = self._app.connection_for_write()
            self._connection.ensure_connection(max_retries=1, timeout=2)
            self._producer = self._app.amqp.Producer(self._connection)
        return self._producer

    def _forget(self) -> None:
        connection, self._connection, self._producer = self._connection, None, None
        if connection is not None:
            connection.release()
