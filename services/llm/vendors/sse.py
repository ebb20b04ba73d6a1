"""Server-sent events cut out of the bytes of an answer, in bounded memory.

Read here and not by the SDKs because theirs are unbounded, unchecked and cost up to forty times the CPU.
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from services.llm.provider import ProviderError

_EVENT_BYTES = 8 * 1024 * 1024
_IGNORED = (b"", b"id", b"retry")


class ServerEvent(msgspec.Struct, frozen=True):
    """One event: its name, empty if it has none, and its data."""

    name: str
    data: bytes


def server_events(parts: Iterable[bytes]) -> Iterator[ServerEvent]:
    """The events of an answer. A line that was cut off is dropped.

    Raises: ProviderError("malformed") for a line that is no field, or an event over 8 MB.
    """
    name, data, size = "", list[bytes](), 0
    for line in _lines(parts):
        if not line:
            if data:
                yield ServerEvent(name, b"\n".join(data))
            name, data, size = "", [], 0
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
            size += len(line) + 1
            if size > _EVENT_BYTES:
                raise ProviderError("malformed", code="event_too_large")
        elif field == b"event":
            name = value.decode("utf-8", "replace")
        elif field not in _IGNORED:
            raise ProviderError("malformed", code="bad_line")
    if data:
        yield ServerEvent(name, b"\n".join(data))


def _lines(parts: Iterable[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if b"\n" in part:
            *lines, rest = b"".join(held).split(b"\n")
            yield from (line.removesuffix(b"\r") for line in lines)
            held, size = [rest], len(rest)
        if size > _EVENT_BYTES:
            raise ProviderError("malformed", code="event_too_large")
