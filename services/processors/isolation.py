"""Finding the processor that crashes or hangs whoever runs it, on whichever streams it does.

Each run with plugins is written down while it lasts, with the plugin and the event it is being given. Once one
ended together with its process, a process runs one at a time. A plugin that three processes ended in, on any
streams that were not committed since, is guilty for some minutes, a built-in one only where all three were.
Writes the hash `guilt`. Runs that go on at the same time prove nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec

from services.ids import new_id
from services.processors.plan import Reading
from services.processors.unit import AnyProcessor
from services.streams.event import StreamId
from services.streams.keys import Keys
from services.streams.store import Store, translated
from services.streams.store_time import ms_of

COUNTED_TAKES = 3
ENDED_RUNS = 3
WINDOW_MS = 300_000


class Run(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A run of `stream` by the incarnation `by`; `name` is empty while nobody watches. `at` is epoch ms."""

    stream: StreamId
    by: str
    at: int
    name: str = ""
    version: int = 0
    offset: int = 0
    ended: bool = False


class Guilt(msgspec.Struct, frozen=True):
    """How many runs ended in a processor of this version, anywhere and here, and at which event here (or 0)."""

    version: int
    anywhere: int
    here: int
    offset: int

    def is_proven(self, *, builtin: bool) -> bool:
        """Whether it is parked for it."""
        return (self.here if builtin else self.anywhere) >= ENDED_RUNS


class Isolation:
    """One run of a stream by an incarnation; a hung one ends when its watchdog ends the process.

    `is_dead` tells of an incarnation whether its process is known to be gone, before its lease is over.
    """

    def __init__(
        self,
        store: Store,
        keys: Keys,
        stream: StreamId,
        incarnation: str,
        is_dead: Callable[[str], bool] = lambda incarnation: False,
    ) -> None:
        shard = keys.shard(stream)
        self._store, self._hash = store, keys.guilt
        self._leases, self._clock = keys.leases(shard), keys.clock(shard)
        self._stream, self._incarnation, self._is_dead = stream, incarnation, is_dead
        self._mark = new_id()
        self._now = 0
        self._current = ("", 0)
        self._versions: Mapping[str, int] = {}
        self._ended: dict[str, Run] = {}

    @property
    def is_suspicious(self) -> bool:
        """Whether a run ended together with its process lately, so that this one is to be watched."""
        return bool(self._ended)

    @contextmanager
    def run(self, versions: Mapping[str, int], pardoned: Collection[str] = ()) -> Iterator[dict[str, Guilt]]:
        """A run from `begin` to `end`. People want the `pardoned` to go on: where they ended is forgotten."""
        found = self.begin(versions)
        try:
            self._forget(lambda run: run.name in pardoned)
            yield {name: guilt for name, guilt in found.items() if name not in pardoned}
        finally:
            self.end()

    def begin(self, versions: Mapping[str, int]) -> dict[str, Guilt]:
        """Write this run down, of processors of these `versions`; in whom earlier ones ended."""
        self._versions, self._current = versions, ("", 0)
        runs, alive = self._look()
        others = {run.by for run in runs.values() if not run.ended} - {self._incarnation}
        over = {by for by in others if by not in alive or self._is_dead(by)}
        gone = [m for m, run in runs.items() if (run.ended or run.by in over) and self._is_old(run)]
        kept = {mark: run for mark, run in runs.items() if mark not in gone}
        fresh = {m: _ended(run, kept.values()) for m, run in kept.items() if not run.ended and run.by in over}
        self._ended = {m: run for m, run in kept.items() if run.ended} | fresh
        self._write({self._mark: self._run(), **fresh}, gone)
        return {name: guilt for name, version in versions.items() if (guilt := self._guilt(name, version))}

    def watch(self, name: str, offset: int) -> None:
        """`name` is about to be given the event at `offset`."""
        if (name, offset) != self._current:
            self._current = (name, offset)
            version = self._versions.get(name, 0)
            run = msgspec.structs.replace(self._run(), name=name, version=version, offset=offset)
            self._write({self._mark: run}, ())

    def end(self) -> None:
        """The run came back: nobody crashed."""
        self._write({}, [self._mark])

    def committed(self, parked: Collection[str]) -> None:
        """Forget earlier ends on this stream, but for those of whom is `parked` here, by this commit or an
        earlier one: they prove nothing for it, and others are to learn of them."""
        self._forget(lambda run: run.stream == self._stream and run.name not in parked)

    def _forget(self, is_meant: Callable[[Run], bool]) -> None:
        marks = [mark for mark, run in self._ended.items() if is_meant(run)]
        for mark in marks:
            del self._ended[mark]
        self._write({}, marks)

    def _guilt(self, name: str, version: int) -> Guilt | None:
        runs = [r for r in self._ended.values() if (r.name, r.version) == (name, version)]
        here = [r for r in runs if r.stream == self._stream]
        last = max(here, key=lambda r: r.at, default=None)
        anywhere = len({r.by for r in runs})
        return (
            Guilt(version, anywhere, len({r.by for r in here}), last.offset if last else 0) if runs else None
        )

    def _is_old(self, run: Run) -> bool:
        return self._now - run.at > WINDOW_MS

    def _run(self) -> Run:
        return Run(stream=self._stream, by=self._incarnation, at=self._now)

    def _write(self, runs: Mapping[str, Run], gone: Sequence[str]) -> None:
        if not runs and not gone:
            return
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            for mark, run in runs.items():
                pipe.hset(self._hash, mark, msgspec.json.encode(run))
            if gone:
                pipe.hdel(self._hash, *gone)
            pipe.execute()

    def _look(self) -> tuple[dict[str, Run], set[str]]:
        """All runs written down, and the incarnations whose lease is alive."""
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            pipe.time()
            pipe.get(self._clock)
            pipe.hgetall(self._hash)
            told, shift, runs = pipe.execute()
            self._now = ms_of(told, shift)
            alive: set[str] = set()
            if runs:
                pipe.zrange(self._leases, 0, -1, withscores=True)
                [leases] = pipe.execute()
                alive = {name.decode() for name, ends in leases if ends > self._now}
        return {mark.decode(): msgspec.json.decode(value, type=Run) for mark, value in runs.items()}, alive


def _ended(run: Run, runs: Iterable[Run]) -> Run:
    """A run that ended together with its process: in nobody when that process was in several processors."""
    names = {other.name for other in runs if other.by == run.by and other.name and not other.ended}
    name = run.name if len(names) == 1 else ""
    return msgspec.structs.replace(run, ended=True, name=name)


def accused(
    reading: Reading,
    processors: Sequence[AnyProcessor],
    found: Mapping[str, Guilt],
    are_builtin: Callable[[Sequence[AnyProcessor]], bool],
) -> dict[str, int]:
    """Which of the guilty would run on what was read, and at which event they are parked.

    That is where they ended here, else the first event they would be given.
    """
    guilty: dict[str, int] = {}
    for processor in processors:
        contract = processor.contract
        guilt, row = found.get(contract.name), reading.rows.get(contract.name)
        if guilt is None or (row is not None and row.status == "parked"):
            continue
        events = (*reading.lagging.get(contract.name, ()), *reading.events)
        first = next((e.offset for e in events if contract.takes(e.type)), 0)
        offset = guilt.offset or first
        if offset and guilt.is_proven(builtin=are_builtin([processor])):
            guilty[contract.name] = offset
    return guilty
