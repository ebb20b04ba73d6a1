"""Finding the processor that crashes or hangs whoever runs it.

After three counted takes without a commit a stream is run in isolation: each processor, and the event it is
given, are written down before it runs. One that three such runs ended in, together with their process, is
guilty and parked. Runs that go on at the same time prove nothing: a busy stream is due again and again.
Writes fields `<stream>|now|<run>`, `|ended|<name>` and `|at|<name>` of the hash `takes-advance`.
"""

from __future__ import annotations

import uuid

from services.streams.event import StreamId
from services.streams.keys import Keys
from services.streams.store import Store, translated

COUNTED_TAKES = 3
ENDED_RUNS = 3


class Isolation:
    """One isolated run of a stream by an incarnation; a hung one ends when its watchdog ends the process."""

    def __init__(self, store: Store, keys: Keys, stream: StreamId, incarnation: str) -> None:
        shard = keys.shard(stream)
        self._store = store
        self._hash, self._leases, self._clock = (
            keys.takes(shard, "advance"),
            keys.leases(shard),
            keys.clock(shard),
        )
        self._stream, self._incarnation = stream, incarnation
        self._mark = f"{stream}|now|{uuid.uuid4().hex}"
        self._current = ("", 0)

    def begin(self) -> dict[str, int]:
        """Note in whom earlier isolated runs ended; those that are guilty now, and at which event they last did."""
        fields, alive = self._look()
        for mark, run in fields.items():
            if mark.startswith(f"{self._stream}|now|"):
                name, offset, incarnation = run.split("|")
                if incarnation not in alive:
                    self._count(mark, name, int(offset))
        fields, _ = self._look()
        prefix = f"{self._stream}|ended|"
        ended = {field.removeprefix(prefix): n for field, n in fields.items() if field.startswith(prefix)}
        return {
            name: int(fields[f"{self._stream}|at|{name}"])
            for name, count in ended.items()
            if int(count) >= ENDED_RUNS
        }

    def watch(self, name: str, offset: int) -> None:
        """`name` is about to be given the event at `offset`."""
        if (name, offset) != self._current:
            self._current = (name, offset)
            with translated():
                self._store.client.hset(self._hash, self._mark, f"{name}|{offset}|{self._incarnation}")

    def end(self, *, committed: bool) -> None:
        """The run came back: nobody crashed. Only a commit forgets earlier ends."""
        fields = [self._mark]
        if committed:
            fields += [field for field in self._look()[0] if field.startswith(f"{self._stream}|")]
        with translated():
            self._store.client.hdel(self._hash, *fields)

    def _count(self, mark: str, name: str, offset: int) -> None:
        with translated():
            self._store.client.hset(self._hash, f"{self._stream}|at|{name}", str(offset))
            # Of two that see the same mark, the one that removes it counts it.
            if self._store.client.hdel(self._hash, mark):
                self._store.client.hincrby(self._hash, f"{self._stream}|ended|{name}", 1)

    def _look(self) -> tuple[dict[str, str], set[str]]:
        """All fields of the shard, and the incarnations whose lease is alive."""
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            pipe.time()
            pipe.get(self._clock)
            pipe.zrange(self._leases, 0, -1, withscores=True)
            pipe.hgetall(self._hash)
            (seconds, micros), shift, leases, fields = pipe.execute()
        now = seconds * 1000 + micros // 1000 + int(shift or 0)
        alive = {name.decode() for name, ends in leases if ends > now}
        return {field.decode(): value.decode() for field, value in fields.items()}, alive
