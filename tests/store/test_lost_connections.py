"""Replies that get lost, connections that hear nothing any more: each operation happens exactly once."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator

import pytest

from services.errors import Unavailable
from services.streams.keys import Keys
from tests.fakes.lua_faults import standing_clock
from tests.fakes.puppet import CREATED, tell
from tests.fakes.store_proxy import StoreProxy, proxy_before
from tests.fakes.store_servers import Console
from tests.fakes.store_stage import Stage, dump
from tests.store.script_scenarios import SCENARIOS, S, Scenario

RECOVERY_S = 15.0
SHIPPED_TIMEOUT_S = 3.0
# A take that was lost took its members; the grace brings them back. Counting a take less is harmless.
EXACT = {name: one for name, one in SCENARIOS.items() if not one.script.startswith("take")}


@pytest.fixture
def proxy(store_url: str) -> Iterator[StoreProxy]:
    """A proxy before the store."""
    if not store_url.startswith("unix://"):
        pytest.skip("the proxy speaks to sockets only")
    with proxy_before(store_url) as made:
        yield made


def _fresh(url: str) -> Stage:
    return Stage(url, Keys(f"t{uuid.uuid4().hex[:12]}", shards=1), read=standing_clock)


@pytest.mark.parametrize("scenario", EXACT.values(), ids=EXACT.keys())
def test_an_operation_whose_reply_is_lost_happens_once_and_is_answered(
    store_url: str, bare: Console, proxy: StoreProxy, scenario: Scenario
) -> None:
    plain = _fresh(store_url)
    scenario.prepare(plain)
    expected = scenario.act(plain)

    stage = _fresh(store_url)
    scenario.prepare(stage)
    unlucky = Stage(proxy.url, stage.keys, read=standing_clock)
    proxy.loses_first_replies = True
    reply = scenario.act(unlucky)

    assert proxy.lost >= 1
    if scenario.script != "reap":  # it counts what this run moved
        assert reply == expected
    assert dump(bare, stage.keys.namespace) == dump(bare, plain.keys.namespace)
    for one in (plain, stage, unlucky):
        one.close()


def test_a_reply_that_is_lost_for_good_is_unavailable_and_its_key_finds_the_event(
    stage: Stage, proxy: StoreProxy
) -> None:
    impatient = Stage(proxy.url, stage.keys, timeout_s=0.2)
    impatient.log.append(S, [tell()], create=CREATED)
    proxy.swallows_all = True
    with pytest.raises(Unavailable):
        impatient.log.append(S, [tell(key="a")])
    proxy.swallows_all = False
    impatient.close()

    first = stage.log.append(S, [tell(key="a")])
    again = stage.log.append(S, [tell(key="a")])

    assert again.offsets == first.offsets
    assert stage.types(S).count("puppet.told") == 2


def test_a_half_open_connection_is_replaced_within_fifteen_seconds(stage: Stage, proxy: StoreProxy) -> None:
    client = Stage(proxy.url, stage.keys)
    client.log.append(S, [tell()], create=CREATED)

    proxy.swallow_open_connections()
    began = time.monotonic()
    done = client.log.append(S, [tell()])

    assert time.monotonic() - began < RECOVERY_S
    assert done.offsets == [3]
    client.close()


def test_a_tail_on_a_half_open_connection_goes_on_within_fifteen_seconds(
    stage: Stage, proxy: StoreProxy
) -> None:
    client = Stage(proxy.url, stage.keys)
    stage.log.append(S, [tell()], create=CREATED)
    with client.log.tail(S, after=0) as tail:
        assert [event.offset for event in tail.next(5)] == [1, 2]  # type: ignore[union-attr]  # events, as nobody streams deltas

        proxy.swallow_open_connections()
        stage.log.append(S, [tell()])
        began = time.monotonic()
        found = tail.next(RECOVERY_S)

        assert time.monotonic() - began < RECOVERY_S
        assert [event.offset for event in found] == [3]  # type: ignore[union-attr]  # events, as nobody streams deltas
    client.close()


def test_a_store_that_answers_nothing_is_unavailable_within_fifteen_seconds(
    stage: Stage, proxy: StoreProxy
) -> None:
    # Each attempt is a connection that waits for the timeout once, shipped as 3 s: four of them fit.
    client = Stage(proxy.url, stage.keys, timeout_s=0.2)
    proxy.swallows_all = True

    with pytest.raises(Unavailable):
        client.log.append(S, [tell()], create=CREATED)

    assert 1 <= proxy.connections <= RECOVERY_S // SHIPPED_TIMEOUT_S - 1
    client.close()
