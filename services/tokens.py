"""Operator tokens: who may use the API. Only hashes are stored; the local file is a copy for people.

Writes the key `Keys.tokens`: a hash of sha256 hex -> JSON {id, name, created_at}.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import NewType

import msgspec

from services.private_copy import read_copy, write_copy
from services.streams.store import Store, translated
from services.variables import Secret

TokenId = NewType("TokenId", str)

FIRST = "operator"

_PREFIX = "tw_"
_CACHE_LIMIT = 1024
_LENGTH_LIMIT = 4096


class TokenRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token. `id` is random: it tells nothing about the token. Epoch milliseconds."""

    id: str
    name: str
    created_at: int


class Tokens:
    """The tokens under `key` of a store. A removed one is refused at the latest `cache_s` seconds later."""

    def __init__(
        self,
        store: Store,
        key: str,
        *,
        cache_s: float = 3.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._key = key
        self._cache_s = cache_s
        self._monotonic = monotonic
        self._known: dict[str, tuple[TokenId, float]] = {}

    def verify(self, token: str) -> TokenId | None:
        """Say whose token this is, or None. Looked up by hash, so timing tells nothing about it.

        Raises: Unavailable when the store can not be asked.
        """
        if not token or len(token) > _LENGTH_LIMIT:
            return None
        digest = _digest(token)
        cached = self._known.get(digest)
        if cached is not None and self._monotonic() < cached[1]:
            return cached[0]
        record = self._load(digest)
        if record is None:
            self._known.pop(digest, None)
            return None
        if len(self._known) >= _CACHE_LIMIT:
            self._known.clear()
        self._known[digest] = (TokenId(record.id), self._monotonic() + self._cache_s)
        return TokenId(record.id)

    def ensure_first(self, *, configured: str | None, copy: Path, owns_store: bool = True) -> str | None:
        """See to it that one operator token exists and that `copy` (0600) holds it; return it.

        A configured token replaces the one before. Without one: the copy is registered again if the store
        has lost it; otherwise a token is generated, but only for a store that has none, or that belongs
        to this data directory (`owns_store`). None: tokens exist, and this machine knows none of them.
        Raises: Unavailable.
        """
        records = self._load_all()
        token = configured or read_copy(copy)
        if token is None:
            if records and not owns_store:
                return None
            token = _PREFIX + secrets.token_urlsafe(32)
        digest = _digest(token)
        if configured or not records or owns_store:
            self._replace_first(digest, records)
        elif digest not in records:
            return None
        write_copy(copy, token)
        return token

    def _replace_first(self, digest: str, records: dict[str, TokenRecord]) -> None:
        old = [each for each, record in records.items() if record.name == FIRST and each != digest]
        with translated():
            pipe = self._store.client.pipeline(transaction=True)
            if digest not in records:
                made_at = time.time_ns() // 1_000_000
                record = TokenRecord(id=secrets.token_hex(6), name=FIRST, created_at=made_at)
                pipe.hset(self._key, digest, msgspec.json.encode(record))
            if old:
                pipe.hdel(self._key, *old)
            pipe.execute()

    def _load(self, digest: str) -> TokenRecord | None:
        with translated():
            return _record_of(self._store.client.hget(self._key, digest))

    def _load_all(self) -> dict[str, TokenRecord]:
        with translated():
            found = self._store.client.hgetall(self._key)
        records = {_text_of(digest): _record_of(body) for digest, body in found.items()}
        return {digest: record for digest, record in records.items() if record is not None}


def known_here(token: str, *, configured: Secret | None, copy: Path) -> TokenId | None:
    """The operator, if `token` is the first one as this machine knows it: configured, or else in `copy`.

    For what may be shown while the store can not be asked; None proves nothing.
    """
    known = configured.reveal() if configured else read_copy(copy)
    is_known = known is not None and secrets.compare_digest(_digest(token), _digest(known))
    return TokenId(FIRST) if is_known else None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _text_of(value: object) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _record_of(body: object) -> TokenRecord | None:
    return msgspec.json.decode(body, type=TokenRecord) if isinstance(body, str | bytes) else None
