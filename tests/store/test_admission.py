"""Which stores are used: durable ones of our namespace and schema; of the others it is said what to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.errors import ConfigurationError
from services.streams.admission import RECORD, SCHEMA, admit, inspect_store, is_accepting
from services.streams.store import Store
from tests.fakes.store_servers import Console, console, serve
from tests.worker.waiting import wait_until


@pytest.fixture(scope="module", params=["valkey", "redis7"])
def own_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server whose settings these tests change."""
    with serve(request.param) as url:
        yield url


@pytest.fixture
def server(own_url: str) -> Iterator[Console]:
    """The server, empty and set up as it should be."""
    with console(own_url) as bare:
        bare.execute_command("FLUSHALL")
        yield bare
        bare.execute_command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        bare.execute_command("CONFIG", "SET", "appendonly", "yes")
        # A server does not stop before its new file is written.
        wait_until(lambda: bare.execute_command("INFO", "persistence")["aof_rewrite_in_progress"] == 0)


@pytest.fixture
def store(own_url: str, server: Console) -> Iterator[Store]:
    """A client of it."""
    made = Store(own_url)
    yield made
    made.close()


def test_the_first_start_fixes_namespace_shards_and_schema(store: Store, server: Console) -> None:
    keys = admit(store, "prod")

    assert (keys.namespace, keys.shards) == ("prod", 16)
    record = server.execute_command("HGETALL", RECORD)
    assert record == {b"namespace": b"prod", b"shards": b"16", b"schema": str(SCHEMA).encode()}


def test_the_number_of_shards_is_the_one_the_store_was_made_with(store: Store, server: Console) -> None:
    server.execute_command("HSET", RECORD, "namespace", "prod", "shards", "4", "schema", str(SCHEMA))

    assert admit(store, "prod").shards == 4


def test_a_store_of_another_namespace_is_refused(store: Store, server: Console) -> None:
    admit(store, "prod")

    with pytest.raises(ConfigurationError, match="TURNWRIGHT_NAMESPACE=prod"):
        admit(store, "dev")


def test_a_store_that_evicts_is_refused(store: Store, server: Console) -> None:
    server.execute_command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")

    with pytest.raises(ConfigurationError, match="set maxmemory-policy noeviction"):
        admit(store, "prod")

    assert not server.execute_command("EXISTS", RECORD)


def test_a_store_without_an_append_only_file_is_refused(store: Store, server: Console) -> None:
    server.execute_command("CONFIG", "SET", "appendonly", "no")

    with pytest.raises(ConfigurationError, match="set appendonly yes"):
        admit(store, "prod")


def test_all_that_is_wrong_with_a_store_is_said_at_once(store: Store, server: Console) -> None:
    server.execute_command("CONFIG", "SET", "appendonly", "no")
    server.execute_command("CONFIG", "SET", "maxmemory-policy", "volatile-ttl")
    server.execute_command("HSET", RECORD, "namespace", "other", "shards", "16", "schema", "99")

    with pytest.raises(ConfigurationError) as refused:
        admit(store, "prod")

    assert len(refused.value.problems) == 4


def test_a_store_of_a_newer_release_is_refused(store: Store, server: Console) -> None:
    server.execute_command("HSET", RECORD, "namespace", "prod", "shards", "16", "schema", str(SCHEMA + 1))

    with pytest.raises(ConfigurationError, match="upgrade Turnwright"):
        admit(store, "prod")

    assert server.execute_command("HGET", RECORD, "schema") == str(SCHEMA + 1).encode()


def test_a_store_of_an_older_release_is_brought_forward(store: Store, server: Console) -> None:
    server.execute_command("HSET", RECORD, "namespace", "prod", "shards", "16", "schema", "0")

    assert admit(store, "prod").shards == 16

    assert server.execute_command("HGET", RECORD, "schema") == str(SCHEMA).encode()


def test_a_nearly_full_store_takes_no_new_inputs(store: Store, server: Console) -> None:
    limit = server.execute_command("CONFIG", "GET", "maxmemory")[1]
    assert is_accepting(inspect_store(store))
    used = int(server.execute_command("INFO", "memory")["used_memory"])
    server.execute_command("CONFIG", "SET", "maxmemory", int(used / 0.9))
    try:
        assert not is_accepting(inspect_store(store))
    finally:
        server.execute_command("CONFIG", "SET", "maxmemory", limit)
