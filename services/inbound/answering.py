"""Where deliveries may be answered: addresses that are as secret as tokens, kept beside the log and not in it.

Writes `answer`. They work for half an hour, so that is how long they are kept; nothing lists them.
"""

from __future__ import annotations

from services.streams.event import StreamId
from services.streams.keys import Keys
from services.streams.store import Store, translated

KEPT_S = 1800


class Answering:
    """Addresses by the delivery they came with: its stream and its key."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store, self._keys = store, keys

    def keep(self, stream: StreamId, key: str, address: str) -> None:
        """Keep one, durably. Raises: Unavailable."""
        with translated():
            self._store.client.set(self._keys.answer(stream, key), address.encode(), ex=KEPT_S)

    def find(self, stream: StreamId, key: str) -> str:
        """The address; empty when there is none any more. Raises: Unavailable."""
        with translated():
            found = self._store.client.get(self._keys.answer(stream, key))
        return "" if found is None else found.decode()
