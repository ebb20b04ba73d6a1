"""The engine's parts over one key space, step by step: no thread, no task, a clock that tests move."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from services.jobs.claims import Claim, Claims
from services.jobs.due import DueSets
from services.jobs.relay import Relay
from services.jobs.wake import Wake
from services.outbox.streams import StreamDeliverer
from services.processors.advance import Advancer, Held
from services.processors.contract import StartJob
from services.processors.plan import Claimer
from services.processors.registry import ProcessorRegistry
from services.processors.unit import AnyProcessor
from services.streams.commands import Arg
from services.streams.event import Event, JobId, StreamId
from services.streams.keys import INBOUND, SCHEDULE, JobKind, Keys, Kind, stream_of
from services.streams.log import Log
from services.streams.store import Reply, Script, Store, read_script
from services.streams.vocabulary import JobStarted
from tests.fakes.puppet import Puppet
from tests.fakes.store_servers import Console, console, keys_of

LEASE_MS = 15_000


class NoHints:
    """A hint port that loses everything."""

    def publish(self, hints: Sequence[object]) -> None:
        """Lose them."""

    def backlog(self, kind: Kind) -> int:
        """Nothing waits."""
        return 0


class WatchedStore(Store):
    """Calls `before` with a script's name right before it is sent: where others may come between."""

    before: Callable[[str], None] = staticmethod(lambda name: None)

    def write(
        self,
        name: str,
        keys: Sequence[str],
        header: Mapping[str, object],
        bodies: Sequence[Arg],
        reply: type[Reply],
    ) -> Reply:
        """See `Store.write`."""
        self.before(name)
        return super().write(name, keys, header, bodies, reply)


class Hand:
    """One incarnation of a worker: it advances, claims, settles."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.name = name
        self._stage = stage
        self.claims = Claims(stage.log, name, clock=lambda: 0.0)
        self.advancer = Advancer(stage.log, stage.registry, name, clock=lambda: 0.0)

    def renew(self, *, born: bool = False) -> bool:
        """Keep the lease; False once it is over."""
        keys = self._stage.keys
        ends = [
            self._stage.store.raw(
                "renew", [keys.leases(shard), keys.clock(shard)], [self.name, LEASE_MS, "1" if born else "0"]
            )
            for shard in range(keys.shards)
        ]
        return all(ends)

    def claimer(self) -> Claimer:
        """Claims every job of a commit."""
        return lambda job: JobStarted(job=job.id, attempt=1, incarnation=self.name)

    def claimer_of(self, *names: str) -> Claimer:
        """Claims jobs of these names only."""

        def claim(job: StartJob) -> JobStarted | None:
            mine = job.id.partition("@")[2] in names
            return JobStarted(job=job.id, attempt=1, incarnation=self.name) if mine else None

        return claim

    def take_job(self, kind: JobKind, job: JobId) -> tuple[Held, Claim]:
        """Claim a job that must be there."""
        claim = self.claims.claim(kind, job)
        assert claim is not None, f"{job} is not to be had"
        held = Held(
            kind=kind, id=job, stream=stream_of(job), token=claim.token, destination=claim.destination
        )
        return held, claim


class Stage:
    """Everything over one store and key space. `read` gives the scripts' texts."""

    def __init__(
        self,
        url: str,
        keys: Keys,
        *,
        read: Callable[[str], Script] = read_script,
        processors: Sequence[AnyProcessor] | None = None,
        on_demand: Sequence[tuple[AnyProcessor, Callable[[Event], bool]]] = (),
        inbound: Sequence[AnyProcessor] = (),
        schedule: Sequence[AnyProcessor] = (),
        timeout_s: float = 3.0,
    ) -> None:
        self.url, self.keys = url, keys
        self.store = WatchedStore(url, read=read, timeout_s=timeout_s)
        self.log = Log(self.store, keys)
        self.registry = ProcessorRegistry(
            [Puppet()] if processors is None else processors,
            on_demand=on_demand,
            apart={INBOUND: inbound, SCHEDULE: schedule},
        )
        self.due = DueSets(self.store, keys, grace_s=10)
        self.relay = Relay(self.store, keys, self.due, Wake(keys, NoHints(), enabled=False), every_s=1)
        self.deliverer = StreamDeliverer(self.log)

    def hand(self, name: str = "hand", *, born: bool = True) -> Hand:
        """A worker with a lease."""
        made = Hand(self, name)
        if born:
            assert made.renew(born=True)
        return made

    def pass_time(self, ms: int) -> None:
        """Move the store's clock forward."""
        with console(self.url) as bare:
            for shard in range(self.keys.shards):
                bare.execute_command("INCRBY", self.keys.clock(shard), ms)

    @contextmanager
    def between(self, script: str, act: Callable[[], object]) -> Iterator[None]:
        """Let `act` happen once, right before the next call of `script`."""
        waiting = [act]

        def before(name: str) -> None:
            if name == script and waiting:
                waiting.pop()()

        self.store.before = before
        yield
        assert not waiting, f"{script} was not called"
        self.store.before = WatchedStore.before

    def due_ids(self, kind: Kind) -> dict[str, int]:
        """Members of a kind with their score minus now; negative is overdue."""
        now, found = self.due.lowest((kind,), most=1000)
        return {one.id: one.at - now for one in found}

    def types(self, stream: StreamId) -> list[str]:
        """The types of all events of a stream."""
        return [event.type for event in self.events(stream)]

    def events(self, stream: StreamId) -> list[Event]:
        """All events of a stream."""
        return self.log.read(stream, limit=100_000)

    def close(self) -> None:
        """Close the connections."""
        self.store.close()


def dump(bare: Console, namespace: str) -> dict[str, object]:
    """Every key of a namespace with its content, comparable between runs: replies of operations are left
    out, made-up ids and the namespace are replaced, an expiry is only noted."""
    plain: dict[str, object] = {}
    bodies: list[object] = []
    for key in keys_of(bare, namespace):
        if b":op:{" in key:
            continue
        has_expiry = bare.execute_command("PTTL", key) >= 0
        if b":blob:{" in key:
            bodies.append((zlib.decompress(bare.execute_command("GET", key)), has_expiry))
            continue
        plain[_neutral(key.decode(), namespace)] = (_content(bare, key, namespace), has_expiry)
    return plain | {"blobs": sorted(bodies, key=repr)}


def _content(bare: Console, key: bytes, namespace: str) -> object:
    match bare.execute_command("TYPE", key):
        case b"string":
            raw = bare.execute_command("GET", key)
        case b"hash":
            raw = sorted(_pairs(bare.execute_command("HGETALL", key)))
        case b"zset":
            raw = sorted(_pairs(bare.execute_command("ZRANGE", key, 0, -1, "WITHSCORES")))
        case b"stream":
            raw = bare.execute_command("XRANGE", key, "-", "+")
        case other:
            raw = other
    return _neutral(repr(raw), namespace)


def _pairs(flat: object) -> list[tuple[bytes, bytes]]:
    if isinstance(flat, dict):
        return list(flat.items())
    assert isinstance(flat, list)
    return list(zip(flat[::2], flat[1::2], strict=True))


def _neutral(text: str, namespace: str) -> str:
    return re.sub(r"[0-9a-f]{32}", "<id>", text.replace(namespace, "<ns>"))
