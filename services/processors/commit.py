"""One commit on its way to the store: a plan becomes the header, keys and bodies of a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from services.processors.contract import AppendTo, StartJob
from services.processors.plan import Plan
from services.streams.blobs import Body, encode_bodies
from services.streams.commands import Arg
from services.streams.event import EventInput, JobId, StreamId
from services.streams.keys import JobKind, Keys
from services.streams.log import Log
from services.streams.store import translated
from services.streams.vocabulary import JobStarted

FIRST_EXTRA = 17
# People find a delivery that failed for as long as this.
LETTERS_KEPT_S = 14 * 86_400


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """On whose behalf jobs are claimed, how long a claimed delivery is leased, how long settled rows stay."""

    incarnation: str
    lease_ms: int = 60_000
    keep_s: int = 86_400


class CommitReply(msgspec.Struct, frozen=True, kw_only=True):
    """`moved`: the checkpoint is at `head`, nothing came between."""

    rev: int
    offsets: list[int] | dict[str, int]
    moved: bool
    head: int
    now: int


class SettleReply(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome's offsets; `commit` when the next commit rode along, else `why` not.

    `following` is the delivery that waited behind this one.
    """

    offsets: list[int]
    head: int
    now: int
    commit: CommitReply | None = None
    why: str | None = None
    following: JobId | None = None


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """An outbox entry for another stream; `n` counts from 1 without holes per (source, target)."""

    stream: StreamId
    event: EventInput
    create: EventInput | None = None
    n: int


@lru_cache(maxsize=256)
def _of_shard(keys: Keys, shard: int, incarnation: str) -> tuple[tuple[str, ...], str]:
    """KEYS that all streams of a shard have in common: those from 3 on, and the letters."""
    shared = (
        keys.due(shard, "advance"),
        keys.op(shard, "{op}"),
        keys.clock(shard),
        keys.recent(shard),
        keys.takes(shard, "advance"),
        keys.due(shard, "llm"),
        keys.due(shard, "tool"),
        keys.due(shard, "deliver"),
        keys.held(shard, incarnation),
        keys.leases(shard),
    )
    return shared, keys.letters(shard)


class Draft:
    """Collects keys, bodies and the header of one script call over a stream."""

    def __init__(self, log: Log, stream: StreamId, terms: Terms) -> None:
        self._store, self._keys, self.stream = log.store, log.keys, stream
        self._terms = terms
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

    def settled(
        self, kind: JobKind, job: JobId, *, token: int, destination: str, is_letter: bool
    ) -> dict[str, object]:
        """A job that ends, as the scripts take it."""
        return {
            "k": self.job(job),
            "kind": kind,
            "id": job,
            "token": token,
            "q": self._queue(kind, destination),
            "letter": is_letter,
            "keep_s": LETTERS_KEPT_S if is_letter else self._terms.keep_s,
        }

    def _queue(self, kind: JobKind, destination: str) -> int:
        return self.key(self._keys.queue(self.stream, destination)) if kind == "deliver" else 0

    def _blob(self, body: Body) -> int:
        return self.key(self._keys.blob(self.stream, body.blob)) if body.blob else 0

    def keys(self) -> list[str]:
        """KEYS of commit and settle, see `lua/_commit.lua`."""
        k, stream = self._keys, self.stream
        shared, letters = _of_shard(k, k.shard(stream), self._terms.incarnation)
        own = (k.outbox(stream), k.parked(stream), letters, k.sent(stream))
        return [k.log(stream), k.meta(stream), *shared, *own, *self.extra]

    def commit(self, plan: Plan, *, rev: int, known: Mapping[str, bytes]) -> dict[str, object]:
        """The header's `c` for `plan`; only fields that differ from `known` are sent."""
        outbox_next = int(known.get("outbox", b"1"))
        owed, sent = self._numbered(plan.appends)
        before = {n: self.arg(value) for n, value in plan.before.items() if known.get(n) != value}
        # Of no use without events; a value that its own events leave as it is goes once.
        after = {
            n: before[n] if n in before and plan.before[n] == value else self.arg(value)
            for n, value in plan.after.items()
            if plan.events and known.get(n) != value
        }
        return {
            "stream": self.stream,
            "rev": rev,
            "read_to": plan.read_to,
            "at": plan.at_ms,
            "before": [*map(list, before.items())],
            "after": [*map(list, after.items())],
            "events": self.events(plan.events),
            "jobs": [self._start(job, plan.claimed.get(job.id)) for job in plan.jobs],
            "settles": [
                self.settled(s.kind, s.id, token=s.token, destination=s.destination, is_letter=s.is_letter)
                for s in plan.settles
            ],
            "cancels": [{"k": self.job(c.id), "id": c.id} for c in plan.cancels],
            "outbox": [
                {"a": self.arg(msgspec.json.encode(o)), "n": outbox_next + i} for i, o in enumerate(owed)
            ],
            "outbox_next": outbox_next + len(plan.appends),
            "sent": [*map(list, sent.items())],
            "timer": plan.timer or 0,
            "behind": plan.behind,
            "pause": plan.pause,
            "waiting": plan.waiting,
            "lease_ms": self._terms.lease_ms,
            "incarnation": self._terms.incarnation,
            "channel": self._keys.tail_channel(self.stream),
            "cancel_channel": self._keys.cancel_channel,
        }

    def _numbered(self, appends: Sequence[AppendTo]) -> tuple[list[Owed], dict[str, int]]:
        """Number entries per target, and the last number of each.

        Only commits move these counters, and each raises `rev`: what is read here holds, or the script refuses.
        """
        targets = list(dict.fromkeys(entry.stream for entry in appends))
        if not targets:
            return [], {}
        with translated():
            counts = self._store.client.hmget(self._keys.sent(self.stream), *targets)
        sent = {target: int(count or 0) for target, count in zip(targets, counts, strict=True)}
        owed: list[Owed] = []
        for entry in appends:
            sent[entry.stream] += 1
            owed.append(
                Owed(stream=entry.stream, event=entry.event, create=entry.create, n=sent[entry.stream])
            )
        return owed, {str(target): n for target, n in sent.items()}

    def _start(self, job: StartJob, claim: JobStarted | None) -> dict[str, object]:
        return {
            "k": self.job(job.id),
            "kind": job.kind,
            "id": job.id,
            "delay_ms": job.delay_ms,
            "expires_ms": job.expires_ms,
            "claim": claim is not None,
            "effect": claim.effect if claim else "",
            "q": self._queue(job.kind, job.destination),
            "destination": job.destination,
            "settle_ms": job.settle_ms,
        }
