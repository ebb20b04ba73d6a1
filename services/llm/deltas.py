"""Token deltas of a running answer: merged to a few a second, published only while somebody reads.

They are never stored, and losing them is fine.
"""

from __future__ import annotations

import time

import msgspec

from services.errors import TurnwrightError
from services.streams.event import JobId
from services.streams.store import Store, translated
from services.streams.tail import Delta

DELTA_S = 0.25
LOOK_FOR_READERS_S = 1.0


class Deltas:
    """The deltas of one attempt at `job`."""

    def __init__(self, store: Store, channel: str, job: JobId, attempt: int) -> None:
        self._store, self._channel, self._job, self._attempt = store, channel, job, attempt
        self._parts: list[str] = []
        self._sent = self._looked = time.monotonic()
        self._has_readers = False
        self._asked = False
        self._seq = 0

    def add(self, text: str) -> None:
        """A piece of the answer came."""
        self._parts.append(text)
        if time.monotonic() - self._sent >= DELTA_S:
            self.flush()

    def end(self) -> None:
        """The attempt is over. Of a short answer nobody read a piece: its settlement comes at once."""
        if self._seq:
            self.flush()

    def flush(self) -> None:
        """Publish what has gathered. Never raises for what the store did."""
        self._sent = time.monotonic()
        if not self._parts:
            return
        try:
            if self._read_by_somebody():
                self._seq += 1
                delta = Delta(job=self._job, attempt=self._attempt, seq=self._seq, text="".join(self._parts))
                with translated():
                    self._store.client.publish(self._channel, msgspec.json.encode(delta))
        except TurnwrightError:
            self._has_readers = False
        self._parts = []

    def _read_by_somebody(self) -> bool:
        now = time.monotonic()
        if not self._asked or now - self._looked > LOOK_FOR_READERS_S:
            self._asked, self._looked = True, now
            with translated():
                counts = self._store.client.pubsub_numsub(self._channel)
            self._has_readers = bool(counts and counts[0][1])
        return self._has_readers
