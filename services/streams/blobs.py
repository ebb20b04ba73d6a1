"""Bodies too large for the log: compressed beside it, under a key whose expiry a script removes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec

from services.errors import TooLarge
from services.ids import new_id
from services.streams.event import EventInput, StreamId
from services.streams.keys import Keys
from services.streams.store import Store, translated

INLINE_LIMIT = 64 * 1024
# All bodies of one script call together; what does not fit goes beside the log, small ones apart.
CALL_LIMIT = 384 * 1024
SMALL = 2 * 1024
BODY_LIMIT = 16 * 1024 * 1024
ORPHAN_TTL_S = 3600


class Body(msgspec.Struct, frozen=True):
    """An encoded event as a script takes it. `blob` is empty for one that fits the log."""

    text: bytes
    blob: str = ""


def encode_bodies(store: Store, keys: Keys, stream: StreamId, inputs: Sequence[EventInput]) -> list[Body]:
    """Encode `inputs`, writing large payloads to blobs first. Raises: TooLarge, Unavailable."""
    bodies: list[Body] = []
    room = CALL_LIMIT
    for one in inputs:
        body = _encode(store, keys, stream, one, room=room)
        room -= len(body.text)
        bodies.append(body)
    return bodies


def _encode(store: Store, keys: Keys, stream: StreamId, one: EventInput, *, room: int) -> Body:
    payload = bytes(one.payload)
    if len(payload) <= min(INLINE_LIMIT, max(SMALL, room)):
        return Body(one.encode())
    if len(payload) > BODY_LIMIT:
        raise TooLarge("an event", BODY_LIMIT)
    blob = new_id()
    with translated():
        store.client.set(keys.blob(stream, blob), zlib.compress(payload, 1), ex=ORPHAN_TTL_S)
    return Body(msgspec.structs.replace(one, payload=msgspec.Raw(b"{}")).encode(), blob)


def fetch_blobs(store: Store, keys: Keys, stream: StreamId, blobs: Sequence[str]) -> dict[str, bytes]:
    """The bodies behind `blobs`, in one round trip. A missing one is left out."""
    if not blobs:
        return {}
    with translated():
        found = store.client.mget([keys.blob(stream, blob) for blob in blobs])
    return {blob: zlib.decompress(body) for blob, body in zip(blobs, found, strict=True) if body is not None}
