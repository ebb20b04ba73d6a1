"""The secrets that sign callbacks. Kept in clear, unlike tokens: a hash signs nothing.

Writes the key `Keys.callback_secrets`: a string, a comma list of `whsec_…`; and a copy for people.
"""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from services.errors import Unavailable
from services.private_copy import read_copy, write_copy
from services.streams.store import Store, translated
from services.variables import Secret, signing_key

COPY_NAME = "callback-secret"

_PREFIX = "whsec_"
_BYTES = 32


class SigningSecrets:
    """The secrets under `key` of a store, the same for all its processes, `cache_s` after a change."""

    def __init__(
        self,
        store: Store,
        key: str,
        *,
        cache_s: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._key = key
        self._cache_s = cache_s
        self._monotonic = monotonic
        self._cached: tuple[tuple[bytes, ...], float] = ((), 0.0)

    def ensure(self, *, configured: Sequence[Secret], copy: Path) -> None:
        """See to it that there is a secret and that `copy` (0600) holds it.

        Configured ones replace what the store has, for every process of it. Without any, a store that has
        none gets the one of the copy, or else a new one. Raises: Unavailable.
        """
        with translated():
            if configured:
                wanted = ",".join(each.reveal() for each in configured)
            else:
                wanted = _usable(read_copy(copy)) or _generated()
            self._store.client.set(self._key, wanted.encode(), nx=not configured)
        write_copy(copy, self._load())

    def is_made(self) -> bool:
        """Whether the store has a secret. Raises: Unavailable."""
        with translated():
            return self._store.client.get(self._key) is not None

    def keys(self) -> Sequence[bytes]:
        """Every key to sign with. While the store has none to give, the last ones that were seen.

        Raises: Unavailable when none were.
        """
        keys, good_until = self._cached
        if keys and self._monotonic() < good_until:
            return keys
        try:
            loaded = self._load_keys()
        except Unavailable:
            if keys:
                return keys
            raise
        self._cached = (loaded, self._monotonic() + self._cache_s)
        return loaded

    def _load_keys(self) -> tuple[bytes, ...]:
        try:
            return tuple(signing_key(each) for each in self._load().split(","))
        except ValueError:
            raise Unavailable("the callback secret in the store can not be read") from None

    def _load(self) -> str:
        with translated():
            stored = self._store.client.get(self._key)
        if not isinstance(stored, bytes):
            raise Unavailable("the store has no callback secret")
        return stored.decode("ascii", "replace")


def _generated() -> str:
    return _PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def _usable(copied: str | None) -> str | None:
    try:
        for each in (copied or "").split(","):
            signing_key(each)
    except ValueError:
        return None
    return copied
