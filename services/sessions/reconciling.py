"""Having GitHub asked for what it could not deliver: who asks, and what came of it. A worker does it.

Writes `reconciled` and `reconciling`.
"""

from __future__ import annotations

import msgspec

from services.sessions.values import Value, WrongState
from services.streams.keys import Keys
from services.streams.store import Store, translated

_ASKED, _TOLD = "asked", "told"


class Reconciled(Value, frozen=True, kw_only=True):
    """What the last look brought: `found` were never seen here, `taken` of them are kept now, `refused` can not be.

    `asked` counts who asked for a look, `answered` up to whom they have it. Times are epoch milliseconds:
    `looked_at` the last look, `until` how far everything is known. `error` is a safe code for a look that ended
    early: it goes on with the next one.
    """

    asked: int = 0
    answered: int = 0
    looked_at: int | None = None
    until: int | None = None
    found: int = 0
    taken: int = 0
    refused: int = 0
    error: str = ""


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

    def told(self, state: Reconciled) -> None:
        """Write down a look; who asked meanwhile still waits. Raises: Unavailable."""
        with translated():
            self._store.client.hset(self._keys.reconciled, _TOLD, msgspec.json.encode(state))

    def take_turn(self, *, lasts_s: int) -> bool:
        """Whether the caller may look now, and nobody else for so long. Raises: Unavailable."""
        with translated():
            taken = self._store.client.set(self._keys.reconciling, b"1", ex=lasts_s, nx=True)
        return bool(taken)

    def leave_turn(self) -> None:
        """Let others look. Only who has the turn. Raises: Unavailable."""
        with translated():
            self._store.client.delete(self._keys.reconciling)
