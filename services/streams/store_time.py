"""What time it is for a store: its own clock, and what tests add to that."""

from __future__ import annotations

from services.streams.keys import Keys
from services.streams.store import Store, translated


def now_ms(store: Store, keys: Keys) -> int:
    """Epoch milliseconds, by itself. Scripts tell it with what they answer. Raises: Unavailable."""
    with translated():
        pipe = store.client.pipeline(transaction=False)
        pipe.time()
        pipe.get(keys.clock(0))
        return ms_of(*pipe.execute())


def ms_of(time: tuple[int, int], shift: bytes | None) -> int:
    """Epoch milliseconds, of what TIME and the key `clock` of a shard answer."""
    seconds, micros = time
    return seconds * 1000 + micros // 1000 + int(shift or 0)
