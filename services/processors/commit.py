"""One commit on its way to the store: a plan becomes the header, keys and bodies of a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from services.processors.contract import AppendTo, StartJob
from services.processors.plan import Plan
from services.streams.blobs import Body, encode_bodies
from services.streams.commands import Arg
from services.streams.event import EventInput, JobId, StreamId
from services.streams.log import Log
from services.streams.vocabulary import JobStarted

FIRST_EXTRA = 15


class CommitReply(msgspec.Struct, frozen=True, kw_only=True):
    """`moved`: the checkpoint is at `head`, nothing came between."""

    rev: int
    offsets: list[int] | dict[str, int]
    moved: bool
    head: int
    now: int


class SettleReply(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome's offsets; `commit` when the next commit rode along, else `why` not."""

    offsets: list[int]
    head: int
    now: int
    commit: CommitReply | None = None
    why: str | None = None


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """An outbox entry for another stream; `n` counts from 1 without holes per (source, target)."""

    stream: StreamId
    event: EventInput
    create: EventInput | None = None
    n: int


class Draft:
    """Collects keys, bodies and the header of one script call over a stream."""

    def __init__(self, log: Log, stream: StreamId, *, incarnation: str, keep_s: int) -> None:
        self._store, self._keys, self.stream = log.store, log.keys, stream
        self._incarnation, self._keep_s = incarnation, keep_s
        self.extra: list[str] = []
        self.bodies: list[Arg] = []

    def key(self, name: str) -> int:
        """The KEYS index of an extra key."""
        self.extra.append(name)
        return FIRST_EXTRA + len(self.extra) - 1

    def arg(self, body: Arg) -> int:
        """The ARGV index of a body."""
        self.bodies.append(body)
        return len(self.bodies) + 1

    def events(self, inputs: Sequence[EventInput]) -> list[dict[str, object]]:
        """Events as the scripts take them."""
        bodies = encode_bodies(self._store, self._keys, self.stream, inputs)
        return [{"a": self.arg(body.text), "b": self._blob(body), "id": body.blob} for body in bodies]

    def job(self, job: JobId) -> int:
        """The KEYS index of a job's hash."""
        return self.key(self._keys.job(job))

    def _blob(self, body: Body) -> int:
        return self.key(self._keys.blob(self.stream, body.blob)) if body.blob else 0

    def keys(self) -> list[str]:
        """KEYS of commit and settle, see `lua/_commit.lua`."""
        shard = self._keys.shard(self.stream)
        k = self._keys
        return [
            k.log(self.stream),
            k.meta(self.stream),
            k.due(shard, "advance"),
            k.op(shard, "{op}"),
            k.clock(shard),
            k.recent(shard),
            k.takes(shard, "advance"),
            k.due(shard, "llm"),
            k.due(shard, "tool"),
            k.due(shard, "deliver"),
            k.held(shard, self._incarnation),
            k.leases(shard),
            k.outbox(self.stream),
            k.parked(self.stream),
            *self.extra,
        ]

    def commit(self, plan: Plan, *, rev: int, known: Mapping[str, bytes]) -> dict[str, object]:
        """The header's `c` for `plan`; only fields that differ from `known` are sent."""
        outbox_next = int(known.get("outbox", b"1"))
        owed, counters = numbered(plan.appends, known)
        before = {n: self.arg(value) for n, value in plan.before.items() if known.get(n) != value}
        # Of no use without events; a value that its own events leave as it is goes once.
        after = {
            n: before[n] if n in before and plan.before[n] == value else self.arg(value)
            for n, value in plan.after.items()
            if plan.events and known.get(n) != value
        }
        counted = [[n, self.arg(value)] for n, value in counters.items()]
        return {
            "stream": self.stream,
            "rev": rev,
            "read_to": plan.read_to,
            "at": plan.at_ms,
            "before": [*map(list, before.items()), *counted],
            "after": [*map(list, after.items()), *counted],
            "events": self.events(plan.events),
            "jobs": [self._start(job, plan.claimed.get(job.id)) for job in plan.jobs],
            "settles": [
                {"k": self.job(s.id), "kind": s.kind, "id": s.id, "token": s.token} for s in plan.settles
            ],
            "cancels": [{"k": self.job(c.id), "id": c.id} for c in plan.cancels],
            "outbox": [
                {"a": self.arg(msgspec.json.encode(o)), "n": outbox_next + i} for i, o in enumerate(owed)
            ],
            "outbox_next": outbox_next + len(plan.appends),
            "timer": plan.timer or 0,
            "behind": plan.behind,
            "pause": plan.pause,
            "waiting": plan.waiting,
            "keep_s": self._keep_s,
            "incarnation": self._incarnation,
            "channel": self._keys.tail_channel(self.stream),
            "cancel_channel": self._keys.cancel_channel,
        }

    def _start(self, job: StartJob, claim: JobStarted | None) -> dict[str, object]:
        return {
            "k": self.job(job.id),
            "kind": job.kind,
            "id": job.id,
            "delay_ms": job.delay_ms,
            "expires_ms": job.expires_ms,
            "claim": claim is not None,
            "effect": claim.effect if claim else "",
        }


def numbered(appends: Sequence[AppendTo], known: Mapping[str, bytes]) -> tuple[list[Owed], dict[str, bytes]]:
    """Number entries per target, going on from the counters `n:<target>` of the stream's row."""
    counters: dict[str, bytes] = {}
    owed: list[Owed] = []
    for entry in appends:
        name = f"n:{entry.stream}"
        n = int(counters.get(name, known.get(name, b"0"))) + 1
        counters[name] = str(n).encode()
        owed.append(Owed(stream=entry.stream, event=entry.event, create=entry.create, n=n))
    return owed, counters
