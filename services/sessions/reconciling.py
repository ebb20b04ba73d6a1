"""Having GitHub asked for what it could not deliver: who asks, and what came of it. A worker does it.

Writes `reconciled` and `reconciling`.
"""

from __future__ import annotations

import msgspec

from services.ids import new_id
from services.sessions.values import Value, WrongState
from services.streams.keys import Keys
from services.streams.store import Store, translated
from services.streams.store_time import now_ms

# Longer than one request of a look may take: whoever died in a look keeps others from it no longer.
TURN_S = 30
# The `error` of a look that was long enough: nothing is wrong.
MORE = "more_to_come"
_ASKED, _TOLD, _REST = "asked", "told", "rest"


class Reconciled(Value, frozen=True, kw_only=True):
    """What the last look brought: `found` were not here, `taken` of them are kept now, `refused` can not be, and
    `left` GitHub did not hand over: they are asked for again.

    `asked` counts who asked for a look, `answered` up to whom they have it. Times are epoch milliseconds:
    `looked_at` the last look, `until` how far everything is known or left. `error` is a safe code for a look that
    ended early: it goes on with the next one.
    """

    asked: int = 0
    answered: int = 0
    looked_at: int | None = None
    until: int | None = None
    found: int = 0
    taken: int = 0
    refused: int = 0
    left: int = 0
    error: str = ""


class Turn:
    """Whose turn it is to look. Two that look at once do no harm: they take in the same, once."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store, self._key, self._name = store, keys.reconciling, new_id().encode()

    def take(self) -> bool:
        """Whether the caller may look now, and nobody else for a while. Raises: Unavailable."""
        with translated():
            return bool(self._store.client.set(self._key, self._name, ex=TURN_S, nx=True))

    def keep(self) -> None:
        """Have it for as long again, if it is still ours. Raises: Unavailable."""
        with translated():
            if self._store.client.get(self._key) == self._name:
                self._store.client.expire(self._key, TURN_S)

    def leave(self) -> None:
        """Let others look, if it is still ours. Raises: Unavailable."""
        with translated():
            if self._store.client.get(self._key) == self._name:
                self._store.client.delete(self._key)


class Reconciling:
    """Keeps the state of it in `store`. `off` says why nobody can be asked, empty when they can."""

    def __init__(self, store: Store, keys: Keys, *, off: str = "") -> None:
        self._store, self._keys, self.off = store, keys, off

    def ask(self) -> Reconciled:
        """Want a look soon: it is had once `answered` is the `asked` of now. Raises: WrongState, Unavailable."""
        if self.off:
            raise WrongState(f"nothing can be reconciled: {self.off}")
        with translated():
            asked = self._store.client.hincrby(self._keys.reconciled, _ASKED, 1)
        return msgspec.structs.replace(self.state(), asked=asked)

    def state(self) -> Reconciled:
        """How it stands. Raises: Unavailable."""
        with translated():
            asked, told = self._store.client.hmget(self._keys.reconciled, _ASKED, _TOLD)
        state = Reconciled() if told is None else msgspec.json.decode(told, type=Reconciled)
        return msgspec.structs.replace(state, asked=int(asked or 0))

    def rest(self) -> bytes:
        """What the last look noted for the next one; empty for nothing. Raises: Unavailable."""
        with translated():
            return self._store.client.hget(self._keys.reconciled, _REST) or b""

    def told(self, state: Reconciled, rest: bytes = b"") -> None:
        """Write down a look and what it left; who asked meanwhile still waits. Raises: Unavailable."""
        with translated():
            # First this: what is known must not move on without it.
            self._store.client.hset(self._keys.reconciled, _REST, rest)
            self._store.client.hset(self._keys.reconciled, _TOLD, msgspec.json.encode(state))

    def now_ms(self) -> int:
        """The store's time, epoch milliseconds. Raises: Unavailable."""
        return now_ms(self._store, self._keys)

    def turn(self) -> Turn:
        """A turn of the caller's own, not taken yet."""
        return Turn(self._store, self._keys)
