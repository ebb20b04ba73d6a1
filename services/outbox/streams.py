"""Delivering to other streams: entries of one stream's outbox, appended elsewhere exactly once, in order.

An entry leaves the outbox only after its target has answered for good. The target recognises a repeat by
(source, n), so a lost answer or a second deliverer changes nothing. A target that must wait blocks only
what is meant for it.
"""

from __future__ import annotations

import msgspec

from services.errors import Conflict, KeyReused, NotFound, Overloaded, StreamPaused
from services.processors.commit import Owed
from services.streams.event import StreamId
from services.streams.log import Log
from services.streams.store import RefusedByScript, translated

BATCH = 64
WAITING_RETRY_MS = 5_000
CONFLICT_RETRY_MS = 100


class StreamDeliverer:
    """Works off what a stream owes to others."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._store, self._keys = log.store, log.keys

    def run(self, stream: StreamId) -> None:
        """Deliver in order until the outbox is empty or every target in it has to wait. Raises: Unavailable."""
        after = "-"
        blocked: dict[StreamId, int] = {}
        while True:
            with translated():
                rows = self._store.client.xrange(self._keys.outbox(stream), after, "+", count=BATCH)
            done = [id for id, fields in rows if self._is_done(stream, fields[b"e"], blocked)]
            left = self._finish(stream, done, min(blocked.values(), default=0))
            if not rows or not left:
                return
            after = f"({rows[-1][0].decode()}"

    def _is_done(self, stream: StreamId, entry: bytes, blocked: dict[StreamId, int]) -> bool:
        owed = msgspec.json.decode(entry, type=Owed)
        if owed.stream in blocked:
            return False
        delay_ms = self._deliver(stream, owed)
        if delay_ms:
            blocked[owed.stream] = delay_ms
        return not delay_ms

    def _deliver(self, stream: StreamId, owed: Owed) -> int:
        """0 when the entry is done with, for good; else after how many ms to try again."""
        try:
            self._log.append(
                owed.stream,
                [owed.event],
                create=owed.create,
                if_exists=owed.create is None,
                external=owed.event.type == "input.received",
                source=(stream, owed.n),
            )
        except (StreamPaused, Overloaded):
            return WAITING_RETRY_MS
        except Conflict:
            return CONFLICT_RETRY_MS
        except RefusedByScript as refusal:
            return 0 if refusal.reason == "done" else CONFLICT_RETRY_MS
        except (NotFound, KeyReused):
            return 0
        return 0

    def _finish(self, stream: StreamId, done: list[bytes], delay_ms: int) -> int:
        shard = self._keys.shard(stream)
        names = [
            self._keys.outbox(stream),
            self._keys.due(shard, "deliver"),
            self._keys.clock(shard),
            self._keys.takes(shard, "deliver"),
        ]
        left = self._store.raw("delivered", names, [stream, delay_ms, *done])
        assert isinstance(left, int)
        return left
