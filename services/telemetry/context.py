"""The trace that work belongs to: W3C `traceparent` and allow-listed baggage, and what this thread works for.

A context is a value that travels: in HTTP headers, in hints, in events. It needs no SDK.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from urllib.parse import unquote

import msgspec

from services.ids import new_id

SAMPLED = 1
BAGGAGE_LIMIT = 512

_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_VALUE_LIMIT = 256
# What a header and a span attribute can hold, percent-encoded.
_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*")


class Trace(msgspec.Struct, frozen=True, gc=False):
    """One span's place: ids in lower-case hex, W3C flags, and `baggage` as it stands in the header."""

    trace_id: str
    span_id: str
    flags: int = 0
    baggage: str = ""

    @property
    def parent(self) -> str:
        """The `traceparent` for whatever follows from this span."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"

    @property
    def is_sampled(self) -> bool:
        """Whether somebody records this trace."""
        return bool(self.flags & SAMPLED)


def read_trace(parent: object, baggage: object = None) -> Trace | None:
    """The context in headers or an event; None for what is none, whoever wrote it.

    `baggage` is taken as it is: `read_baggage` first, where it comes from outside.
    """
    if not isinstance(parent, str) or len(parent) > 512:
        return None
    return _parsed(parent, baggage if isinstance(baggage, str) else "")


# The events of a turn tell the same again and again.
@lru_cache(maxsize=512)
def _parsed(parent: str, baggage: str) -> Trace | None:
    found = _PARENT.fullmatch(parent)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "ff" or (version == "00" and more) or not (int(trace_id, 16) and int(span_id, 16)):
        return None
    return Trace(trace_id, span_id, int(flags, 16) & SAMPLED, baggage)


def new_trace(baggage: str = "") -> Trace:
    """A context of its own, which nobody records."""
    return Trace(new_id(), new_id()[:16], 0, baggage)


def read_baggage(header: object, allowed: Collection[str]) -> str:
    """What of a `baggage` header may travel on: `allowed` keys with short plain values, properties left out."""
    if not isinstance(header, str) or len(header) > 8192:
        return ""
    kept: dict[str, str] = {}
    room = BAGGAGE_LIMIT
    for member in header.split(","):
        key, _, value = member.partition(";")[0].partition("=")
        key, value = key.strip(), value.strip()
        if key not in allowed or key in kept or not 0 < len(value) <= _VALUE_LIMIT:
            continue
        if _VALUE.fullmatch(value) and (room := room - len(key) - len(value) - 2) >= 0:
            kept[key] = value
    return ",".join(f"{key}={value}" for key, value in kept.items())


def baggage_items(baggage: str) -> dict[str, str]:
    """The members of a baggage that was read before, decoded."""
    pairs = (member.partition("=") for member in baggage.split(",") if member)
    return {key: unquote(value) for key, _, value in pairs}


def agent_span(trace: Trace, stream: str, turn: int) -> Trace:
    """The span of a turn: the same for whoever asks, so that processes agree on it without telling."""
    digest = hashlib.sha256(f"{trace.trace_id}/{stream}/{turn}".encode()).hexdigest()[:16]
    return msgspec.structs.replace(trace, span_id=digest)


_current: ContextVar[Trace | None] = ContextVar("turnwright_trace", default=None)
_cause: ContextVar[Trace | None] = ContextVar("turnwright_cause", default=None)
_session: ContextVar[str] = ContextVar("turnwright_session", default="")


def current() -> Trace | None:
    """What this thread works for."""
    return _current.get()


def cause() -> Trace | None:
    """What made this thread look: the hint it follows, also while it works off something else."""
    return _cause.get()


def session() -> str:
    """The session this thread works for; empty for none."""
    return _session.get()


def work_for(trace: Trace | None, session: str = "") -> None:
    """From here on this thread works for `trace`, until told otherwise."""
    _current.set(trace)
    _session.set(session)


@contextmanager
def caused_by(hint: Trace | None) -> Iterator[None]:
    """What this thread does inside follows from `hint`; afterwards it works for nobody."""
    _cause.set(hint)
    try:
        yield
    finally:
        _cause.set(None)
        work_for(None)
