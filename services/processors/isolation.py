"""Finding the processor that crashes or hangs whoever runs it.

After three counted takes without a commit a stream is run in isolation: the name of each processor is
written down before it runs. One that three such runs ended in is guilty, and parked.
Writes fields `<stream>|now` and `<stream>|ended|<name>` of the hash `takes-advance`.
"""

from __future__ import annotations

from services.streams.event import StreamId
from services.streams.keys import Keys
from services.streams.store import Store, translated

COUNTED_TAKES = 3
ENDED_RUNS = 3


class Isolation:
    """One isolated run of a stream."""

    def __init__(self, store: Store, keys: Keys, stream: StreamId) -> None:
        self._store = store
        self._hash = keys.takes(keys.shard(stream), "advance")
        self._stream = stream
        self._current = ""

    def begin(self) -> list[str]:
        """Note in whom the last isolated run ended; the names of those that are guilty now."""
        with translated():
            client = self._store.client
            ended = client.hget(self._hash, f"{self._stream}|now")
            if ended is not None:
                client.hincrby(self._hash, f"{self._stream}|ended|{ended.decode()}", 1)
                client.hdel(self._hash, f"{self._stream}|now")
            fields = client.hgetall(self._hash)
        prefix = f"{self._stream}|ended|"
        return [
            name.removeprefix(prefix)
            for name, count in (
                (n.decode(), int(c)) for n, c in fields.items() if n.decode().startswith(prefix)
            )
            if count >= ENDED_RUNS
        ]

    def watch(self, name: str) -> None:
        """`name` is about to run."""
        if name != self._current:
            self._current = name
            with translated():
                self._store.client.hset(self._hash, f"{self._stream}|now", name)

    def end(self, *, committed: bool) -> None:
        """The run came back: nobody crashed. Only a commit forgets earlier ends."""
        with translated():
            fields = [f"{self._stream}|now"]
            if committed:
                prefix = f"{self._stream}|"
                fields = [
                    name.decode()
                    for name in self._store.client.hgetall(self._hash)
                    if name.decode().startswith(prefix)
                ]
            if fields:
                self._store.client.hdel(self._hash, *fields)
