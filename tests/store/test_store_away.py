"""Why a store can not be used is told apart, and told without saying where it is or how it is opened."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from deploy.embedded import EmbeddedStore, make_socket_folder, run_store
from services.errors import Overloaded, StoreAway
from services.streams.admission import ask
from services.streams.store import Store, translated
from tests.fakes.refusing_store import refusing_store


@pytest.fixture
def folder() -> Path:
    return make_socket_folder()


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedStore]:
    with run_store(EmbeddedStore(kind="broker", socket=folder / "s", folder=folder)) as store:
        yield store


def away(url: str, use: Callable[[Store], None] = ask) -> StoreAway:
    """How a store at `url` is found to be away."""
    store = Store(url, timeout_s=0.3, retries=0)
    try:
        with pytest.raises(StoreAway) as caught:
            use(store)
    finally:
        store.close()
    return caught.value


def writes(store: Store) -> None:
    """A script that writes."""
    with translated(), redis.Redis.from_url(store.url) as client:
        client.eval("return redis.call('hset', KEYS[1], 'a', 'b')", 1, "k")


def test_nobody_at_the_address_is_told_by_what_is_missing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert away(f"redis://127.0.0.1:{port}").reason == "silent"
    assert away(f"redis://127.0.0.1:{port}").reason == "refused"
    assert away("redis://store.invalid:6379").reason == "unknown_host"
    assert away("unix:///nonexistent/s").reason == "no_socket"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("LOADING Valkey is loading the dataset in memory", "loading"),
        ("NOAUTH Authentication required.", "password"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "password"),
        ("NOPERM User low has no permissions to run the 'hgetall' command", "permission"),
        ("ERR max number of clients reached", "clients"),
        ("CLUSTERDOWN Hash slot not served", "cluster_down"),
        ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", "read_only"),
        ("MOVED 3999 127.0.0.1:6381", "moved"),
        ("NOREPLICAS Not enough good replicas to write.", "replicas"),
    ],
)
def test_a_server_that_refuses_everybody_is_told_by_its_answer(folder: Path, error: str, reason: str) -> None:
    with refusing_store(folder / "r", error) as url:
        found = away(url)

    assert found.reason == reason
    assert "3999" not in str(found)
    assert "low" not in str(found).replace("allow", "")


def test_a_full_disk_is_no_absence(folder: Path) -> None:
    with refusing_store(folder / "r", "MISCONF Errors writing to the AOF file") as url:
        store = Store(url, retries=0)
        with pytest.raises(Overloaded):
            ask(store)


def test_a_password_that_changed_and_a_right_that_was_taken_are_no_defects(server: EmbeddedStore) -> None:
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "low", "on", ">good", "+@all", "-hset", "~*")
        path = server.url.removeprefix("unix://")

        assert away(f"unix://low:other@{path}").reason == "password"
        assert away(f"unix://low:good@{path}", writes).reason == "permission"


def test_a_store_that_became_a_replica_is_away(server: EmbeddedStore) -> None:
    with redis.Redis.from_url(server.url) as admin:
        admin.execute_command("REPLICAOF", "127.0.0.1", "1")
        assert away(server.url, writes).reason == "read_only"


def test_what_is_said_names_no_address_and_no_password(folder: Path) -> None:
    said = [str(away(url)) for url in ("redis://low:geheim@127.0.0.1:1", "unix://low:geheim@/nonexistent/s")]

    assert not [text for text in said if "geheim" in text or "127.0.0.1" in text or "nonexistent" in text]
