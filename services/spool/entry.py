"""One webhook on its way to its stream: what is appended, whether now or after a while in the spool."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from services.errors import Defect
from services.streams.event import Envelope, EventInput, StreamId
from services.streams.log import Appended, Log

_envelope = msgspec.json.Decoder(Envelope)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """`event`, which has a key, for `stream`, which `beginning` starts if it is new.

    Entries of one stream keep their order. `received_ms` is when this host got it, in epoch milliseconds.
    `answer_at` is where it may be answered for a while: as secret as a token, and no part of the event.
    """

    stream: StreamId
    event: EventInput
    beginning: EventInput
    received_ms: int
    answer_at: str = ""

    @property
    def key(self) -> str:
        """What tells it from all others of its stream."""
        if not self.event.key:
            raise Defect("what is kept needs a key")
        return self.event.key


class Appender:
    """Appends entries to `log`, after `beside` kept what goes beside those that have an `answer_at`."""

    def __init__(self, log: Log, beside: Callable[[Entry], None] = lambda entry: None) -> None:
        self._log, self._beside = log, beside

    def append(self, entries: Sequence[Entry]) -> Appended:
        """Append entries of one stream, in order; those it has are left as they are.

        Raises: TooLarge, Invalid, Conflict, Overloaded, Unavailable, Defect.
        """
        for each in entries:
            if each.answer_at:
                # First this: whoever acts on the delivery finds it.
                self._beside(each)
        return self._log.append(
            entries[0].stream,
            [each.event for each in entries],
            create=entries[0].beginning,
            existing_wins=True,
            guarded=True,
        )


def input_of(document: bytes) -> EventInput:
    """The input that `EventInput.encode` made a document of. Raises: msgspec.DecodeError."""
    doc = _envelope.decode(document)
    return EventInput(
        type=doc.type,
        payload=doc.payload,
        v=doc.v,
        key=doc.key,
        cause=doc.cause,
        trace=doc.trace,
        baggage=doc.baggage,
    )


def stored(stream: str, event: bytes, beginning: bytes, received_ms: int, answer_at: str) -> Entry | None:
    """The entry that was written down so; None where it can not be read."""
    try:
        return Entry(
            stream=StreamId(stream),
            event=input_of(event),
            beginning=input_of(beginning),
            received_ms=received_ms,
            answer_at=answer_at,
        )
    except msgspec.DecodeError:
        return None
