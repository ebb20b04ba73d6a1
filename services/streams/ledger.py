"""The list of deliveries that inbound streams received, over all of them, newest first. Written by `append`.

Only where each delivery is: what it was and what became of it is in its stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from services.streams.event import Offset, StreamId
from services.streams.keys import Keys
from services.streams.store import Store, translated

# When (epoch ms), and the delivery's name. Those of one millisecond stand by name, backwards.
Place: TypeAlias = tuple[int, str]


class Ledger:
    """Reads the list of one store. Deliveries are named `<stream>@<offset>`, and listed for 14 days."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store, self._keys = store, keys

    def page(self, *, before: Place | None = None, limit: int = 100) -> list[Place]:
        """The newest `limit` deliveries, those behind a place. Raises: Unavailable."""
        size = limit
        while True:
            pages = self._pages(before, size)
            found = sorted(
                (one for page in pages for one in page if before is None or one < before), reverse=True
            )
            # A shard that has more has nothing newer than the last it told of.
            known_to = max((page[-1] for page in pages if len(page) == size), default=(0, ""))
            sure = [one for one in found if one >= known_to]
            if len(sure) >= limit or known_to == (0, ""):
                return sure[:limit]
            size *= 2

    def times(self, names: Iterable[str]) -> Mapping[str, int]:
        """When deliveries were received; those that are not listed any more are left out. Raises: Unavailable."""
        wanted = list(names)
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            for name in wanted:
                pipe.zscore(self._keys.ledger(self._keys.shard(name)), name)
            scores = pipe.execute()
        return {name: int(at) for name, at in zip(wanted, scores, strict=True) if at is not None}

    def _pages(self, before: Place | None, size: int) -> list[list[Place]]:
        top = "+inf" if before is None else str(before[0])
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            for shard in range(self._keys.shards):
                pipe.zrevrangebyscore(self._keys.ledger(shard), top, "-inf", 0, size, withscores=True)
            pages = pipe.execute()
        return [[(int(at), name.decode()) for name, at in page] for page in pages]


def name_of(stream: StreamId, offset: Offset) -> str:
    """What a delivery is called."""
    return f"{stream}@{offset}"


def parts_of(name: str) -> tuple[StreamId, Offset]:
    """Where a delivery is."""
    stream, _, offset = name.rpartition("@")
    return StreamId(stream), int(offset)
