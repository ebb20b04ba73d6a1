"""The counts of all processes together, in one hash: each adds what it counted, a few times a minute.

So totals survive deaths. `kill -9` loses what a process counted in its last interval, and nothing else; an
interval whose answer got lost may count twice. Writes `counts`.
"""

from __future__ import annotations

import threading

from services.errors import TurnwrightError
from services.logs import get_logger
from services.streams.keys import Keys
from services.streams.store import Store, translated
from services.telemetry.counters import Counters, Series, field_of, series_of

EVERY_S = 3.0


class Totals:
    """Adds the counts of this process, and reads those of all."""

    def __init__(self, store: Store, keys: Keys, counters: Counters) -> None:
        self._store, self._keys, self._counters = store, keys, counters
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="totals", daemon=True)

    def start(self) -> None:
        """Begin to add, every few seconds."""
        self._thread.start()

    def stop(self) -> None:
        """Add what is left."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2)

    def add(self) -> None:
        """Add what this process counted since the last time. Raises: Unavailable, Overloaded."""
        counts = self._counters.untold()
        if not counts:
            return
        with translated():
            pipe = self._store.client.pipeline(transaction=True)
            for series, n in counts.items():
                pipe.hincrby(self._keys.counts, field_of(series), n)
            pipe.execute()
        self._counters.told(counts)

    def read(self) -> dict[Series, int]:
        """The counts of all processes. Raises: Unavailable."""
        with translated():
            rows = self._store.client.hgetall(self._keys.counts)
        found = ((series_of(field.decode(errors="replace")), int(n)) for field, n in rows.items())
        return {series: n for series, n in found if series is not None}

    def _run(self) -> None:
        while True:
            is_last = self._stop.wait(EVERY_S)
            try:
                self.add()
            except TurnwrightError:
                pass
            except Exception as error:
                # The edge of this thread: nothing this process counts would be seen any more.
                get_logger("totals").warning("not_added", error=type(error).__name__)
            if is_last:
                return
