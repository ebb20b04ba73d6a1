"""An event of a stream: its committed form, its not yet committed form, and the stored encoding.

A stored entry is one JSON document (the envelope) without offset and time: the store assigns both.
"""

from __future__ import annotations

import builtins
from typing import NewType, TypeVar

import msgspec

from services.telemetry.context import Trace, read_trace

StreamId = NewType("StreamId", str)
JobId = NewType("JobId", str)
Offset = int

P = TypeVar("P", bound=msgspec.Struct)


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The stored document. `payload` stays encoded until somebody asks for it.

    `trace` is a W3C traceparent, `baggage` what of a W3C baggage header travels with it.
    """

    type: str
    v: int = 1
    payload: msgspec.Raw = msgspec.Raw(b"{}")
    key: str | None = None
    cause: tuple[str, ...] = ()
    trace: str | None = None
    baggage: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A committed fact. `offset` counts from 1 without holes; `created_at` is epoch milliseconds."""

    offset: Offset
    created_at: int
    type: str
    v: int
    payload: msgspec.Raw
    key: str | None = None
    cause: tuple[str, ...] = ()
    trace: str | None = None
    baggage: str | None = None

    @property
    def context(self) -> Trace | None:
        """The trace it belongs to."""
        return read_trace(self.trace, self.baggage)

    def decode(self, shape: builtins.type[P]) -> P:
        """Read the payload as `shape`; unknown fields are ignored."""
        return msgspec.json.decode(self.payload, type=shape)


class EventInput(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is not committed yet."""

    type: str
    payload: msgspec.Raw
    v: int = 1
    key: str | None = None
    cause: tuple[str, ...] = ()
    trace: str | None = None
    baggage: str | None = None

    @classmethod
    def of(
        cls,
        type: str,
        payload: msgspec.Struct,
        *,
        key: str | None = None,
        cause: tuple[str, ...] = (),
        trace: str | None = None,
    ) -> EventInput:
        """Build an input of `type` from its payload shape."""
        return cls(
            type=type,
            payload=msgspec.Raw(msgspec.json.encode(payload)),
            key=key,
            cause=cause,
            trace=trace,
        )

    def encode(self) -> bytes:
        """The stored document."""
        return msgspec.json.encode(
            Envelope(
                type=self.type,
                v=self.v,
                payload=self.payload,
                key=self.key,
                cause=self.cause,
                trace=self.trace,
                baggage=self.baggage,
            )
        )

    def under(self, trace: Trace | None) -> EventInput:
        """This input as part of `trace`, unless it belongs to one already."""
        if trace is None or self.trace:
            return self
        return msgspec.structs.replace(self, trace=trace.parent, baggage=trace.baggage or None)

    def at(self, offset: Offset, created_at: int) -> Event:
        """The event this becomes once it is committed at `offset`."""
        return Event(
            offset=offset,
            created_at=created_at,
            type=self.type,
            v=self.v,
            payload=self.payload,
            key=self.key,
            cause=self.cause,
            trace=self.trace,
            baggage=self.baggage,
        )


_envelope = msgspec.json.Decoder(Envelope)


def decode_entry(offset: Offset, created_at: int, body: bytes) -> Event:
    """Parse one stored document. Raises: msgspec.DecodeError when the bytes were changed."""
    doc = _envelope.decode(body)
    return Event(
        offset=offset,
        created_at=created_at,
        type=doc.type,
        v=doc.v,
        payload=doc.payload,
        key=doc.key,
        cause=doc.cause,
        trace=doc.trace,
        baggage=doc.baggage,
    )
