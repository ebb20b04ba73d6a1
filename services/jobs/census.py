"""Who works: the live workers' own reports, cached for a second."""

from __future__ import annotations

import threading
import time

import msgspec

from services.errors import TurnwrightError
from services.jobs.incarnation import Heartbeat
from services.streams.keys import Keys
from services.streams.store import Store, translated
from services.streams.store_time import ms_of

FRESH_S = 1.0


class Census:
    """Reads heartbeats. One counts as alive for `alive_s` after it was written."""

    def __init__(self, store: Store, keys: Keys, *, alive_s: float) -> None:
        self._store, self._keys, self._alive_ms = store, keys, int(alive_s * 1000)
        self._lock = threading.Lock()
        self._read_at = -FRESH_S
        self._beats: dict[str, Heartbeat] = {}

    def workers(self) -> dict[str, Heartbeat]:
        """Live workers by incarnation. Raises: Unavailable."""
        with self._lock:
            if time.monotonic() - self._read_at > FRESH_S:
                self._beats = self._read()
                self._read_at = time.monotonic()
            return self._beats

    def free_slots(self) -> int | None:
        """Slots free in all workers together; None when the store can not say."""
        try:
            return sum(beat.free for beat in self.workers().values())
        except TurnwrightError:
            return None

    def processors(self) -> dict[str, int]:
        """The highest version of each processor that some worker runs."""
        found: dict[str, int] = {}
        for beat in self.workers().values():
            for name, version in beat.processors.items():
                found[name] = max(version, found.get(name, 0))
        return found

    def _read(self) -> dict[str, Heartbeat]:
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            pipe.time()
            pipe.get(self._keys.clock(0))
            pipe.hgetall(self._keys.workers)
            told, shift, rows = pipe.execute()
        now = ms_of(told, shift)
        beats = {name.decode(): msgspec.json.decode(body, type=Heartbeat) for name, body in rows.items()}
        return {name: beat for name, beat in beats.items() if now - beat.at <= self._alive_ms}
