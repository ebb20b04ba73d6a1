"""Entries of a log made into events: parsed, and given back the bodies that were too large for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from services.errors import Defect
from services.streams.blobs import fetch_blobs
from services.streams.commands import Entry
from services.streams.event import Event, Offset, StreamId, decode_entry
from services.streams.keys import Keys
from services.streams.store import Store


def decode_entries(
    store: Store,
    keys: Keys,
    stream: StreamId,
    entries: Sequence[Entry],
    types: frozenset[str] | None = None,
) -> list[Event]:
    """The events of `types` among `entries`, in their order. Raises: Defect (changed bytes), Unavailable."""
    wanted: list[tuple[Event, str]] = []
    for id, body in entries:
        offset, fields = offset_of(id), _fields(body)
        try:
            event = decode_entry(offset, int(fields[b"t"]), fields[b"e"])
        except (msgspec.DecodeError, KeyError, ValueError) as error:
            raise Defect(f"event {stream}@{offset} can not be read") from error
        if types is None or event.type in types:
            wanted.append((event, fields.get(b"b", b"").decode()))
    blobs = fetch_blobs(store, keys, stream, [blob for _, blob in wanted if blob])
    return [_whole(stream, event, blob, blobs) for event, blob in wanted]


def offset_of(id: bytes) -> Offset:
    """The offset in an entry's id."""
    return int(id.partition(b"-")[0])


def _whole(stream: StreamId, event: Event, blob: str, blobs: Mapping[str, bytes]) -> Event:
    if not blob:
        return event
    if blob not in blobs:
        raise Defect(f"the body of event {stream}@{event.offset} is gone")
    return msgspec.structs.replace(event, payload=msgspec.Raw(blobs[blob]))


def _fields(body: object) -> dict[bytes, bytes]:
    if isinstance(body, dict):
        return body
    assert isinstance(body, list)
    return dict(zip(body[::2], body[1::2], strict=True))
