"""Real store servers for tests: durable like production, on a unix socket, dying with the test process."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, cast

import pytest
import redis

from deploy.embedded import EmbeddedStore, make_socket_folder, run_store

GIVEN = "TURNWRIGHT_TEST_STORE_URL"
# The bundled server, or the one that was asked for instead; and the oldest one that is supported.
SERVERS = ("given" if os.environ.get(GIVEN) else "valkey", "redis7")


class DebianRedis(EmbeddedStore):
    """The `redis-server` on PATH under the options of the embedded log store."""

    def command(self) -> tuple[str, ...]:
        """Its command line; skips where it is missing, but not in CI."""
        binary = shutil.which("redis-server")
        if binary is None:
            missing = "redis-server is not on PATH: apt-get install redis-server"
            if os.environ.get("CI"):
                pytest.fail(missing)
            pytest.skip(missing)
        return (binary, *EmbeddedStore.command(self)[1:])


@contextmanager
def serve(name: str) -> Iterator[str]:
    """Run the server called `name` with an empty data directory; its address."""
    if name == "given":
        yield os.environ[GIVEN]
        return
    folder = make_socket_folder()
    try:
        data = folder / "data"
        data.mkdir()
        kind = DebianRedis if name == "redis7" else EmbeddedStore
        with run_store(kind(kind="log", socket=folder / "s", folder=data)) as store:
            yield store.url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def data_folder(url: str) -> Path:
    """Where a server of `serve` keeps its files."""
    return Path(url.removeprefix("unix://")).parent / "data"


class Console(Protocol):
    """A bare connection, for what no product code may do: configure the server, look at every key."""

    def execute_command(self, *words: bytes | str | int | float) -> Any: ...
    def close(self) -> None: ...


@contextmanager
def console(url: str) -> Iterator[Console]:
    """A bare connection to the server at `url`."""
    made = cast(Console, redis.Redis.from_url(url, protocol=2))
    try:
        yield made
    finally:
        made.close()


def wipe(url: str, namespace: str) -> None:
    """Remove every key of a namespace."""
    with console(url) as bare:
        found = keys_of(bare, namespace)
        if found:
            bare.execute_command("UNLINK", *found)


def keys_of(bare: Console, namespace: str) -> list[bytes]:
    """Every key of a namespace, sorted."""
    found: set[bytes] = set()
    at = 0
    while True:
        cursor, page = bare.execute_command("SCAN", at, "MATCH", f"{namespace}:*", "COUNT", 1000)
        found.update(page)
        at = int(cursor)
        if not at:
            return sorted(found)
