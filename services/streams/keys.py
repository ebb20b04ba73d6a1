"""Names of every key in the log store, in one place.

All keys of a stream carry its shard as hash tag, so one script may touch them together on a cluster.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

import msgspec

from services.streams.event import JobId, StreamId

Kind = Literal["advance", "llm", "tool", "deliver", "tick"]
KINDS: tuple[Kind, ...] = ("advance", "llm", "tool", "deliver", "tick")
JobKind = Literal["llm", "tool", "deliver"]
# What came from outside, as it came: the streams of channels and other senders.
INBOUND = "inbound:"
# Triggers, with what became of each of their due times.
SCHEDULE = "schedule:"
JOB_KINDS: tuple[JobKind, ...] = ("llm", "tool", "deliver")


class Keys(msgspec.Struct, frozen=True):
    """Builds key names for one namespace. `shards` is fixed in the store at its first start."""

    namespace: str = "turnwright"
    shards: int = 16

    def shard(self, stream: str) -> int:
        """The shard of a stream; a job lives where its stream does."""
        return _shard(stream, self.shards)

    def _at(self, kind: str, shard: int, id: str = "") -> str:
        return f"{self.namespace}:{kind}:{{{shard}}}:{id}" if id else f"{self.namespace}:{kind}:{{{shard}}}"

    def log(self, stream: StreamId) -> str:
        """Redis stream: the events."""
        return self._at("log", self.shard(stream), stream)

    def meta(self, stream: StreamId) -> str:
        """Hash: rev, at, own, pause, and the processors' rows (`p:`) and states (`s:`)."""
        return self._at("stream", self.shard(stream), stream)

    def parked(self, stream: StreamId) -> str:
        """Sorted set: jobs that wait for `stream.resumed`."""
        return self._at("parked", self.shard(stream), stream)

    def outbox(self, stream: StreamId) -> str:
        """Redis stream: entries still owed by this stream."""
        return self._at("outbox", self.shard(stream), stream)

    def sent(self, stream: StreamId) -> str:
        """Hash: other stream -> number of the last entry this one queued for it."""
        return self._at("sent", self.shard(stream), stream)

    def marks(self, stream: StreamId) -> str:
        """Hash: other stream -> `n|reply`, the last entry this one took from it, or refused for good."""
        return self._at("marks", self.shard(stream), stream)

    def job(self, job: JobId) -> str:
        """Hash: one job's state, token and attempts."""
        return self._at("job", self.shard(job), job)

    def run(self, run: JobId) -> str:
        """List: what came too late for a request or one of its tools; the newest first, for some weeks."""
        return self._at("run", self.shard(run), run)

    def queue(self, stream: StreamId, destination: str) -> str:
        """Sorted set: the deliveries a stream owes to one destination, the next one first."""
        return self._at("queue", self.shard(stream), f"{stream}@{destination}")

    def key(self, stream: StreamId, key: str) -> str:
        """String `offset:fingerprint`: an idempotency key of the stream."""
        return self._at("key", self.shard(stream), f"{stream}@{key}")

    def blob(self, stream: StreamId, blob: str) -> str:
        """String: a compressed body too large for the log."""
        return self._at("blob", self.shard(stream), blob)

    def answer(self, stream: StreamId, key: str) -> str:
        """String: where a delivery of an inbound stream may be answered, for half an hour."""
        return self._at("answer", self.shard(stream), f"{stream}@{key}")

    def op(self, shard: int, op: str) -> str:
        """String: the reply of a writing script, kept 10 minutes."""
        return self._at("op", shard, op)

    def due(self, shard: int, kind: Kind) -> str:
        """Sorted set: who is owed work of this kind, scored by when."""
        return self._at(f"due-{kind}", shard)

    def takes(self, shard: int, kind: Kind) -> str:
        """Hash: counted takes since the last commit, per member."""
        return self._at(f"takes-{kind}", shard)

    def letters(self, shard: int) -> str:
        """Sorted set: deliveries that ended undelivered, scored by when."""
        return self._at("letters", shard)

    def held(self, shard: int, incarnation: str) -> str:
        """Sorted set `kind|id`: the jobs an incarnation holds."""
        return self._at("held", shard, incarnation)

    def leases(self, shard: int) -> str:
        """Sorted set: incarnation -> end of its lease."""
        return self._at("leases", shard)

    def clock(self, shard: int) -> str:
        """String: milliseconds added to the store's time, set by tests only."""
        return self._at("clock", shard)

    def ledger(self, shard: int) -> str:
        """Sorted set `stream@offset`: deliveries of inbound streams, scored by when they were received."""
        return self._at("ledger", shard)

    def triggers(self, shard: int) -> str:
        """Sorted set: the streams of the triggers that are there, all scored 0."""
        return self._at("triggers", shard)

    def recent(self, shard: int) -> str:
        """Sorted set: stream -> last append."""
        return self._at("recent", shard)

    def signs(self, shard: int) -> str:
        """Hash: sign -> what is known of one that may be shown in a thread."""
        return self._at("signs", shard)

    def signs_due(self, shard: int) -> str:
        """Sorted set: sign -> when somebody looks whether it is to be taken back."""
        return self._at("signs-due", shard)

    @property
    def workers(self) -> str:
        """Hash: incarnation -> heartbeat document."""
        return f"{self.namespace}:workers"

    @property
    def counts(self) -> str:
        """Hash: metric and labels -> what all processes counted."""
        return f"{self.namespace}:counts"

    @property
    def guilt(self) -> str:
        """Hash: run with plugins -> whose it is, and whether its process ended in it."""
        return f"{self.namespace}:guilt"

    @property
    def tokens(self) -> str:
        """Hash: sha256 of a token -> what it is."""
        return f"{self.namespace}:tokens"

    @property
    def callback_secrets(self) -> str:
        """String: the comma list of secrets that sign callbacks."""
        return f"{self.namespace}:callback-secrets"

    @property
    def reconciled(self) -> str:
        """Hash: how far GitHub's log of deliveries was looked through, and with what result."""
        return f"{self.namespace}:reconciled:github"

    @property
    def reconciling(self) -> str:
        """String: somebody looks through GitHub's log of deliveries right now."""
        return f"{self.namespace}:reconciling:github"

    def tail_channel(self, stream: StreamId) -> str:
        """Publish/subscribe: a stream has news, or a token delta."""
        return f"{self.namespace}:tail:{stream}"

    @property
    def cancel_channel(self) -> str:
        """Publish/subscribe: jobs somebody wants stopped."""
        return f"{self.namespace}:cancel"


@lru_cache(maxsize=1024)
def _shard(id: str, shards: int) -> int:
    return zlib.crc32(stream_of(id).encode()) % shards


def family_of(kind: JobKind, id: str) -> str:
    """What the types of a job's events begin with. What inbound streams and triggers deliver goes into sessions."""
    if kind == "deliver":
        return "inbound" if id.startswith(INBOUND) else "tick" if id.startswith(SCHEDULE) else "reply"
    return kind


def is_session(stream: str) -> bool:
    """Whether people talk in a stream: what comes from outside or is due is kept in others."""
    return not stream.startswith((INBOUND, SCHEDULE))


def is_job(id: str) -> bool:
    """Whether an id is one of a job, not of a stream."""
    return "@" in id


def stream_of(id: str) -> StreamId:
    """The stream of a job id (`<stream>@<n>`), or the stream itself."""
    return StreamId(id.partition("@")[0])


def held_jobs(members: Iterable[bytes]) -> list[tuple[JobKind, JobId]]:
    """The members `kind|id` of a held set, without those of kinds that only newer workers know."""
    pairs = (member.decode().partition("|") for member in members)
    return [(known, JobId(id)) for kind, _, id in pairs for known in JOB_KINDS if kind == known]
