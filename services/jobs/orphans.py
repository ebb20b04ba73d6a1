"""Jobs that this incarnation holds although none of its threads works on them: they are given back.

They come from replies of the store that were lost for good, and from defects. As the lease lives, nobody
else would ever look for them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Set

from services.errors import TurnwrightError
from services.jobs.claims import Claims
from services.jobs.wake import Wake
from services.logs import get_logger
from services.processors.advance import Held
from services.streams.event import JobId
from services.streams.keys import JobKind, Keys, held_jobs, stream_of
from services.streams.store import Store, translated

EVERY_S = 1.0


class Orphans:
    """Looks once a second. `in_hand` are the jobs that are worked on, each named before it is claimed."""

    def __init__(
        self,
        store: Store,
        keys: Keys,
        claims: Claims,
        wake: Wake,
        *,
        in_hand: Callable[[], Set[JobId]],
        incarnation: str,
    ) -> None:
        self._store, self._keys, self._claims, self._wake = store, keys, claims, wake
        self._in_hand, self._incarnation = in_hand, incarnation
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orphans", daemon=True)

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._stop.set()

    def look(self) -> list[JobId]:
        """Give back what nobody has in hand, at no cost of its budget; which jobs. Raises: Unavailable."""
        held = self._held()
        rows = self._claims.look(list(held)) if held else {}
        # Read last: a job is in hand before it is held, so what is seen of it in the store and is not in
        # hand now was left, or ended meanwhile, which its token tells.
        in_hand = self._in_hand()
        left = [job for job in held if job not in in_hand]
        for job in left:
            row, kind = rows[job], held[job]
            is_ours = row is not None and row.state == "started" and row.incarnation == self._incarnation
            token = row.token if row is not None and is_ours else -1
            holding = Held(kind=kind, id=job, stream=stream_of(job), token=token)
            if self._claims.release(holding, error="orphaned", free=True) is not None:
                self._wake.hint(kind, job)
        return left

    def _held(self) -> dict[JobId, JobKind]:
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            for shard in range(self._keys.shards):
                pipe.zrange(self._keys.held(shard, self._incarnation), 0, -1)
            rows = pipe.execute()
        return {job: kind for row in rows for kind, job in held_jobs(row)}

    def _run(self) -> None:
        while not self._stop.wait(EVERY_S):
            try:
                self.look()
            except TurnwrightError:
                continue
            except Exception as error:
                # The edge of this thread: what nobody looks for would never be found again.
                get_logger("orphans").warning("look_failed", error=type(error).__name__)
