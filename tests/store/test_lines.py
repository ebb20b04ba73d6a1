"""A thread's line to the store: commands sent together, refused ones, lost connections, a closed store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis.exceptions import ResponseError

from services.errors import Unavailable
from services.streams.keys import Keys
from services.streams.store import Store, translated
from tests.fakes.store_proxy import StoreProxy, proxy_before


@pytest.fixture
def proxy(store_url: str) -> Iterator[StoreProxy]:
    """A proxy before the store."""
    if not store_url.startswith("unix://"):
        pytest.skip("the proxy speaks to sockets only")
    with proxy_before(store_url) as made:
        yield made


@pytest.fixture
def store(proxy: StoreProxy) -> Iterator[Store]:
    """A store behind the proxy that is soon impatient."""
    made = Store(proxy.url, timeout_s=0.2)
    yield made
    made.close()


@pytest.fixture
def name(keys: Keys) -> str:
    """A key of this test."""
    return f"{keys.namespace}:{{0}}"


def test_commands_sent_together_are_answered_in_order_each_as_its_kind(store: Store, name: str) -> None:
    pipe = store.client.pipeline(transaction=False)
    pipe.hset(name, "a", "1")
    pipe.hmget(name, "a", "b")
    pipe.hgetall(name)

    assert pipe.execute() == [1, [b"1", None], {b"a": b"1"}]


def test_a_refused_command_is_raised_and_the_next_one_hears_its_own_answer(store: Store, name: str) -> None:
    store.client.set(name, b"text")
    pipe = store.client.pipeline(transaction=False)
    pipe.hgetall(name)
    pipe.get(name)

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        pipe.execute()
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        store.client.hget(name, "a")

    assert store.client.get(name) == b"text"


def test_one_connection_serves_commands_and_batches(store: Store, proxy: StoreProxy, name: str) -> None:
    store.client.set(name, b"1")
    pipe = store.client.pipeline(transaction=False)
    pipe.get(name)
    pipe.execute()

    assert proxy.connections == 1


def test_commands_sent_together_are_sent_again_over_a_new_connection(
    store: Store, proxy: StoreProxy, name: str
) -> None:
    store.client.set(name, b"1")
    proxy.swallow_open_connections()
    pipe = store.client.pipeline(transaction=False)
    pipe.get(name)
    pipe.hgetall(f"{name}:none")

    assert pipe.execute() == [b"1", {}]


def test_what_is_sent_together_is_unavailable_after_as_many_tries_as_one_command(
    store: Store, proxy: StoreProxy, name: str
) -> None:
    proxy.swallows_all = True
    line = store.client
    seen = proxy.connections
    pipe = line.pipeline(transaction=False)
    pipe.get(name)

    with pytest.raises(Unavailable), translated():
        pipe.execute()

    assert proxy.connections - seen <= 4


def test_a_closed_store_opens_a_new_line(store: Store, name: str) -> None:
    old = store.client
    store.client.set(name, b"1")
    store.close()

    assert store.client is not old
    assert store.client.get(name) == b"1"
