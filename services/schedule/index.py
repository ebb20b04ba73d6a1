"""The list of the triggers that are there. Writes `triggers`."""

from __future__ import annotations

from collections.abc import Sequence

from services.errors import Overloaded
from services.schedule.known import known
from services.streams.event import StreamId
from services.streams.log import Log
from services.streams.store import translated

MOST_TRIGGERS = 50_000


class Index:
    """The list of one store. Due is a trigger whether it is listed or not."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def every(self) -> Sequence[StreamId]:
        """Their streams, by their id; some may be removed already, or not be there yet. Raises: Unavailable."""
        keys = self._log.keys
        with translated():
            pipe = self._log.store.client.pipeline(transaction=False)
            for shard in range(keys.shards):
                pipe.zrange(keys.triggers(shard), 0, -1)
            pages = pipe.execute()
        return sorted(StreamId(name.decode()) for page in pages for name in page)

    def admit(self, stream: StreamId) -> None:
        """List what is about to be defined. Raises: Overloaded when too many are, Unavailable."""
        keys = self._log.keys
        listed = keys.triggers(keys.shard(stream))
        with translated():
            is_there = self._log.store.client.zscore(listed, stream) is not None
            if not is_there and self._log.store.client.zcard(listed) * keys.shards >= MOST_TRIGGERS:
                raise Overloaded("too_many_triggers")
        self.add(stream)

    def add(self, stream: StreamId) -> None:
        """List what was defined: it may have been left out between `admit` and then. Raises: Unavailable."""
        keys = self._log.keys
        with translated():
            self._log.store.client.zadd(keys.triggers(keys.shard(stream)), {stream: 0}, nx=True)

    def leave_out(self, stream: StreamId) -> None:
        """Leave out one that was removed, unless it is defined again meanwhile. Raises: Unavailable."""
        keys = self._log.keys
        with translated():
            self._log.store.client.zrem(keys.triggers(keys.shard(stream)), stream)
        # Whoever defines lists it after that: either is seen here, or comes later than the line above.
        if known(self._log, stream).state.definition is not None:
            self.add(stream)
