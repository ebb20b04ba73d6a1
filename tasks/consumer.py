"""Celery's consumer, for queues in which anything may lie: what can not be read is dropped, the worker goes on.

Celery takes a message whose body has the wrong shape, or an entry that is no message at all, for a bug of its
own and ends the worker.
"""

from __future__ import annotations

from collections.abc import Callable

from celery.worker.consumer import Consumer
from kombu import Message

from services.logs import get_logger

# What Kombu's Redis transport raises over an entry that it did not write.
UNREADABLE = (ValueError, TypeError, KeyError, AttributeError)


class HintConsumer(Consumer):  # type: ignore[misc]  # Celery publishes no types
    """Reads hints. An unreadable entry counts as a broken connection: it is gone, and reading starts over."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)
        known: tuple[type[Exception], ...] = self.connection_errors
        self.connection_errors: tuple[type[Exception], ...] = (*known, *UNREADABLE)

    def create_task_handler(self, *args: object, **options: object) -> Callable[[Message], None]:
        """See Celery."""
        heed = super().create_task_handler(*args, **options)
        logger = get_logger("hints")

        def on_message(message: Message) -> None:
            # Celery acknowledges whatever it reads, and each time would pay for what was never noted.
            message.ack_log_error = _was_read
            try:
                heed(message)
            except Exception as error:
                # The edge to what strangers wrote: one message must not end the worker.
                logger.warning("hint_unreadable", error=type(error).__name__)

        return on_message


def _was_read(*given: object, **named: object) -> None:
    """In place of an acknowledgement: reading took the message out of its queue."""
