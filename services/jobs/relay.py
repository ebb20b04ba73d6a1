"""The relay: once a second it hints what nobody took in time and frees what the dead held.

Every worker has one, and beat; none leads, none is needed. It dispatches again and executes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import msgspec

from services.errors import TurnwrightError, Unavailable
from services.jobs.due import DueSets
from services.jobs.incarnation import host_id, is_proven_dead
from services.jobs.wake import NEAR_MS, Wake
from services.streams.keys import Keys, held_jobs
from services.streams.store import Store, translated
from services.telemetry.counters import Counters

OVERDUE_MS = 300
PER_SET = 8
REAP = 128


class Relay:
    """`every_s` between rounds; `failed` hears of rounds that did not work out."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        due: DueSets,
        wake: Wake,
        *,
        every_s: float,
        counters: Counters | None = None,
        failed: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        self._store, self._keys, self._due, self._wake = store, keys, due, wake
        self._every_s, self._failed = every_s, failed
        self._counters = counters or Counters()
        self._host = host_id()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def start(self) -> None:
        """Start the rounds."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current round."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2)

    def round(self) -> None:
        """One round. Raises: Unavailable."""
        now, found = self._due.lowest(most=PER_SET)
        for one in found:
            if one.at <= now - (OVERDUE_MS if self._wake.enabled else 0):
                self._wake.relay(one.kind, one.id)
                self._counters.add("turnwright_relayed_hints_total", one.kind)
            elif now < one.at <= now + NEAR_MS:
                self._wake.at(one.kind, one.id, one.at, now_ms=now)
        self._bury(now)

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            try:
                self.round()
            except Exception as error:
                # The edge of this thread: without it a single defect would end the rounds for ever.
                self._failed(error)

    def _bury(self, now: int) -> None:
        leases = self._leases()
        dead = {name for name in {name for _, name, _ in leases} if is_proven_dead(name, self._host)}
        for shard, incarnation, ends in leases:
            if ends <= now or incarnation in dead:
                self._reap_or_tell(shard, incarnation, proven=incarnation in dead)

    def _reap_or_tell(self, shard: int, incarnation: str, *, proven: bool) -> None:
        try:
            self.reap(shard, incarnation, proven=proven)
        except Unavailable:
            raise
        except TurnwrightError as error:
            # A broken key of one shard is no reason to leave the others.
            self._failed(error)

    def _leases(self) -> Sequence[tuple[int, str, int]]:
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            for shard in range(self._keys.shards):
                pipe.zrange(self._keys.leases(shard), 0, -1, withscores=True)
            rows = pipe.execute()
        return [(shard, name.decode(), int(ends)) for shard, row in enumerate(rows) for name, ends in row]

    def reap(self, shard: int, incarnation: str, *, proven: bool) -> int:
        """Make what an ended incarnation held due again; how many jobs that were."""
        moved = 0
        while True:
            with translated():
                held = self._store.client.zrange(self._keys.held(shard, incarnation), 0, REAP - 1)
            jobs = held_jobs(held)
            header = {
                "incarnation": incarnation,
                "proven": proven,
                "members": [
                    {"m": f"{kind}|{job}", "kind": kind, "id": job, "k": 7 + i}
                    for i, (kind, job) in enumerate(jobs)
                ],
            }
            names = [
                self._keys.leases(shard),
                self._keys.held(shard, incarnation),
                self._keys.clock(shard),
                self._keys.due(shard, "llm"),
                self._keys.due(shard, "tool"),
                self._keys.due(shard, "deliver"),
                *(self._keys.job(job) for _, job in jobs),
            ]
            count = self._store.raw("reap", names, [msgspec.json.encode(header)])
            assert isinstance(count, int)
            moved += max(0, count)
            if count <= 0:
                break
            for kind, job in jobs:
                self._wake.hint(kind, job)
            if len(held) < REAP:
                break
        if count >= 0:
            with translated():
                self._store.client.hdel(self._keys.workers, incarnation)
        return moved
