"""Which entries of the outbox there are and how far they have come, read for people. Writes nothing.

Open ones are found where workers find them: due, held, or queued behind one that is. Undelivered ones that
ended are kept in `Keys.letters`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from services.outbox.entries import number_of
from services.streams.event import JobId, StreamId
from services.streams.keys import Keys, held_jobs, is_job, stream_of
from services.streams.store import Store, translated
from services.streams.store_time import ms_of

# Of one shard's sets; what is further back shows when those before it are gone.
SHARD_LIMIT = 10_000
_CHUNK = 100

Place = tuple[int, str, int]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. `due`: when it is tried, epoch ms; None while it is sent, waits for another, or has ended.

    `is_letter`: it ended undelivered. `error` is how its last attempt ended, `since` when its state changed.
    """

    job: JobId
    state: str = ""
    attempts: int = 0
    error: str = ""
    destination: str = ""
    since: int = 0
    due: int | None = None
    is_letter: bool = False


class Listing(msgspec.Struct, frozen=True):
    """The entries of one shard at one instant, by place. `now` is the store's time."""

    now: int
    due: dict[JobId, int]
    letters: frozenset[JobId]
    jobs: tuple[JobId, ...]


class Shelf:
    """Reads the outbox of one store."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store, self._keys = store, keys

    def place(self, job: JobId) -> Place:
        """Where an entry comes in a list: by shard, session and number."""
        return self._keys.shard(job), stream_of(job), number_of(job)

    def find(self, shard: int, *, session: StreamId | None, after: Place | None) -> Listing:
        """The entries in `shard`, those of `session` or all, that come after a place. Raises: Unavailable."""
        now, due, letters, held = self._sets(shard)
        heads = [job for job in (*due, *held) if session in (None, stream_of(job))]
        found = {*heads, *letters, *self._behind(heads)}
        placed = sorted(
            (self.place(job), job) for job in found if session in (None, stream_of(job)) and number_of(job)
        )
        jobs = tuple(job for place, job in placed if after is None or place > after)
        return Listing(now, due, letters, jobs)

    def owed(self, shard: int) -> frozenset[JobId]:
        """Everything in `shard` that is due, held, or queued behind one that is. Raises: Unavailable."""
        _, due, _, held = self._sets(shard)
        heads = [*due, *held]
        return frozenset([*heads, *self._behind(heads)])

    def rows(self, listing: Listing) -> Iterator[Row]:
        """The entries of a listing, read little by little; those that were delivered meanwhile are left out."""
        for start in range(0, len(listing.jobs), _CHUNK):
            jobs = listing.jobs[start : start + _CHUNK]
            for job, row in zip(jobs, self.look(jobs), strict=True):
                is_letter = job in listing.letters
                if row.state in ("requested", "started") or is_letter:
                    yield msgspec.structs.replace(row, due=listing.due.get(job), is_letter=is_letter)

    def look(self, jobs: Sequence[JobId]) -> list[Row]:
        """How far `jobs` have come, in one round trip; an empty state for what is not there."""
        fields = ("state", "attempts", "error", "destination", "since")
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            for job in jobs:
                pipe.hmget(self._keys.job(job), *fields)
            answers = pipe.execute()
        return [_row(job, answer) for job, answer in zip(jobs, answers, strict=True)]

    def _sets(self, shard: int) -> tuple[int, dict[JobId, int], frozenset[JobId], list[JobId]]:
        k = self._keys
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            pipe.time()
            pipe.get(k.clock(shard))
            pipe.zrange(k.due(shard, "deliver"), 0, SHARD_LIMIT - 1, withscores=True)
            pipe.zrange(k.letters(shard), 0, SHARD_LIMIT - 1)
            pipe.zrange(k.leases(shard), 0, -1)
            told, shift, due, letters, leases = pipe.execute()
            holders = self._store.client.pipeline(transaction=False)
            for incarnation in leases:
                holders.zrange(k.held(shard, incarnation.decode()), 0, -1)
            held = [one for members in holders.execute() for one in held_jobs(members)]
        scores = {JobId(id.decode()): int(score) for id, score in due}
        return (
            ms_of(told, shift),
            {job: at for job, at in scores.items() if is_job(job)},
            frozenset(JobId(id.decode()) for id in letters),
            [job for kind, job in held if kind == "deliver"],
        )

    def _behind(self, heads: Sequence[JobId]) -> list[JobId]:
        """What waits behind the first ones of their queues."""
        found: list[JobId] = []
        for start in range(0, len(heads), _CHUNK):
            rows = self.look(heads[start : start + _CHUNK])
            with translated():
                pipe = self._store.client.pipeline(transaction=False)
                for row in rows:
                    pipe.zrange(self._keys.queue(stream_of(row.job), row.destination), 0, SHARD_LIMIT - 1)
                found += [JobId(id.decode()) for members in pipe.execute() for id in members]
        return found


def _row(job: JobId, answer: Sequence[bytes | None]) -> Row:
    state, attempts, error, destination, since = ((each or b"").decode() for each in answer)
    return Row(
        job=job,
        state=state,
        attempts=int(attempts or 0),
        error=error,
        destination=destination,
        since=int(since or 0),
    )
