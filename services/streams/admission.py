"""Whether a store may be used: durable, not evicting, of this namespace, of a schema this code knows.

Writes the hash `turnwright:store` once, at the first start: namespace, shard count, schema version.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

import msgspec

from services.errors import ConfigurationError, Overloaded, Revoked, Unavailable
from services.logs import get_logger
from services.streams.keys import Keys
from services.streams.store import Store, translated

SCHEMA = 1
SHARDS = 16
RECORD = "turnwright:store"
NEARLY_FULL = 0.85
POLL_S = 0.2
LOOK_EVERY_S = 1.0
FULL_RETRY_S = 30.0


class StoreFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a store. `used` is a fraction of maxmemory, 0 where there is none."""

    server: str
    namespace: str
    shards: int
    schema: int
    eviction: str
    appendonly: bool
    used: float
    rewrite_ok: bool


def inspect_store(store: Store) -> StoreFacts:
    """Read the facts. Raises: Unavailable."""
    with translated():
        info: Mapping[str, object] = store.client.info("everything")
        record = {k.decode(): v.decode() for k, v in store.client.hgetall(RECORD).items()}
    most = int(str(info.get("maxmemory", 0)))
    name = "valkey" if info.get("valkey_version") else "redis"
    version = info.get("valkey_version") or info.get("redis_version")
    return StoreFacts(
        server=f"{name} {version}",
        namespace=record.get("namespace", ""),
        shards=int(record.get("shards", "0")),
        schema=int(record.get("schema", "0")),
        eviction=str(info.get("maxmemory_policy", "noeviction")),
        appendonly=str(info.get("aof_enabled", "0")) == "1",
        used=int(str(info.get("used_memory", 0))) / most if most else 0.0,
        rewrite_ok=str(info.get("aof_last_write_status", "ok")) == "ok",
    )


def problems_of(facts: StoreFacts, namespace: str) -> list[str]:
    """Why the store can not be used, each with what to do."""
    problems = []
    if facts.eviction != "noeviction":
        problems.append(
            f"the log store evicts keys (maxmemory-policy {facts.eviction}): set maxmemory-policy noeviction"
        )
    if not facts.appendonly:
        problems.append(
            "the log store keeps no append-only file: set appendonly yes (and appendfsync always)"
        )
    if facts.namespace and facts.namespace != namespace:
        problems.append(
            f"the log store holds the data of namespace {facts.namespace!r}, not {namespace!r}:"
            f" set TURNWRIGHT_NAMESPACE={facts.namespace} or use another store"
        )
    if facts.schema > SCHEMA:
        problems.append(
            f"the log store was written by a newer release (schema {facts.schema}, this one knows {SCHEMA}):"
            " upgrade Turnwright"
        )
    return problems


def ask(store: Store) -> None:
    """See whether the store answers, and has its data. Raises: Unavailable."""
    with translated():
        store.client.hgetall(RECORD)


def await_store(store: Store, *, within_s: float, is_stopping: Callable[[], bool]) -> None:
    """Wait while the store is away, or still reads its data.

    Raises: Unavailable once `within_s` are over, or when told to stop.
    """

    persist(lambda: ask(store), within_s=within_s, is_stopping=is_stopping)


def persist(act: Callable[[], None], *, within_s: float, is_stopping: Callable[[], bool]) -> None:
    """Do `act`, again and again while the store is away or full.

    What begins beside a store that was killed must not die of that: a supervisor counts deaths.
    Raises: Unavailable or Overloaded once `within_s` are over, or when told to stop; all else at once.
    """
    ends = time.monotonic() + within_s
    has_told = False
    while True:
        try:
            return act()
        except Revoked:
            raise
        except (Unavailable, Overloaded) as error:
            if is_stopping() or time.monotonic() >= ends:
                raise
            if not has_told:
                get_logger("engine").warning("waiting_for_store", seconds=within_s, reason=str(error))
                has_told = True
            time.sleep(POLL_S)


def admit(store: Store, namespace: str) -> Keys:
    """Check the store and fix namespace, shards and schema at the first start.

    Raises: ConfigurationError with every problem, Unavailable.
    """
    facts = inspect_store(store)
    problems = problems_of(facts, namespace)
    if problems:
        raise ConfigurationError(*problems)
    # A full store refuses even writes that change nothing, and must not keep anybody from starting.
    if not (facts.namespace and facts.shards and facts.schema):
        facts = _fix(store, namespace)
    if facts.schema < SCHEMA:
        migrate(store, facts.schema)
    return Keys(namespace, facts.shards)


def _fix(store: Store, namespace: str) -> StoreFacts:
    with translated():
        client = store.client
        client.hsetnx(RECORD, "namespace", namespace)
        client.hsetnx(RECORD, "shards", str(SHARDS))
        client.hsetnx(RECORD, "schema", str(SCHEMA))
    facts = inspect_store(store)
    problems = problems_of(facts, namespace)
    if problems:
        raise ConfigurationError(*problems)
    return facts


def migrate(store: Store, schema: int) -> None:
    """Bring a store of an older release forward, step by step; each step may run twice."""
    for step in range(schema, SCHEMA):
        MIGRATIONS[step](store)
        with translated():
            store.client.hset(RECORD, "schema", str(step + 1))


def _from_nothing(store: Store) -> None:
    """Schema 0 is an empty store: nothing to change."""


MIGRATIONS = {0: _from_nothing}


def is_accepting(facts: StoreFacts) -> bool:
    """Whether new inputs fit: the rest of the memory is kept for what is already owed."""
    return facts.used < NEARLY_FULL and facts.rewrite_ok


class Guard:
    """Refuses new inputs while the store is nearly full. Thread-safe, and for use after a fork.

    Looks at the store at most once in `every_s`, by the one caller that finds the last look too old. Where that
    fails, what follows has to find out again, unless it `is_strict`.
    """

    def __init__(self, store: Store, *, every_s: float = LOOK_EVERY_S, is_strict: bool = False) -> None:
        self._store, self._every_s, self._is_strict = store, every_s, is_strict
        self._facts: StoreFacts | None = None
        self._fresh_until = 0.0
        self._looking = threading.Lock()

    def check(self) -> None:
        """Let an input pass. Raises: Overloaded; Unavailable if strict."""
        if time.monotonic() >= self._fresh_until and self._looking.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looking.release()
        if self._facts is not None and not is_accepting(self._facts):
            raise Overloaded("store_nearly_full", retry_after_s=FULL_RETRY_S)

    def _look(self) -> None:
        self._fresh_until = time.monotonic() + self._every_s
        try:
            self._facts = inspect_store(self._store)
        except (Unavailable, Overloaded):
            # What follows will say so itself, with the answer that fits.
            self._facts = None
            if self._is_strict:
                raise
