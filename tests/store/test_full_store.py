"""A store whose memory is full: leases end as agreed, starts wait for it, and inputs are refused in time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from services.errors import Overloaded
from services.jobs.incarnation import Heartbeat, Lease
from services.streams.admission import Guard, admit
from services.streams.event import StreamId
from services.streams.keys import Keys
from services.streams.log import Log
from services.streams.store import Store
from tests.fakes.puppet import CREATED, Told, tell
from tests.fakes.store_servers import Console, console, serve
from tests.worker.waiting import wait_until

S = StreamId("s")
BEAT = Heartbeat(kinds=("llm",), slots=1, free=1, processors={})


@pytest.fixture(scope="module", params=["valkey", "redis7"])
def own_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """A server whose memory these tests bound."""
    with serve(request.param) as url:
        yield url


@pytest.fixture
def server(own_url: str) -> Iterator[Console]:
    """The server, empty but for a large value: a fraction of its memory leaves room for some writes."""
    with console(own_url) as bare:
        bare.execute_command("FLUSHALL")
        bare.execute_command("SETRANGE", "ballast", 30_000_000, "x")
        yield bare


@pytest.fixture
def store(own_url: str, server: Console) -> Iterator[Store]:
    """A client of it."""
    made = Store(own_url)
    yield made
    made.close()


@contextmanager
def filled(server: Console, to: float) -> Iterator[None]:
    """The memory is full to this fraction."""
    limit = server.execute_command("CONFIG", "GET", "maxmemory")[1]
    used = int(server.execute_command("INFO", "memory")["used_memory"])
    server.execute_command("CONFIG", "SET", "maxmemory", int(used / to))
    try:
        yield
    finally:
        server.execute_command("CONFIG", "SET", "maxmemory", limit)


def lease(store: Store, lost: threading.Event) -> Lease:
    return Lease(store, Keys("t", 2), ttl_s=0.6, renew_s=0.1, beat=lambda: BEAT, lost=lost.set)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_whose_lease_ends_while_the_store_is_full_hears_of_it(store: Store, server: Console) -> None:
    lost = threading.Event()
    held = lease(store, lost)
    held.start()

    with filled(server, 2.0):
        assert lost.wait(10)

    assert held.remaining_s() < 0


def test_a_lease_outlives_a_short_fullness(store: Store, server: Console) -> None:
    lost = threading.Event()
    held = Lease(store, Keys("t", 2), ttl_s=20, renew_s=0.05, beat=lambda: BEAT, lost=lost.set)
    held.start()

    with filled(server, 2.0):
        wait_until(lambda: held.remaining_s() < 19.8)
    wait_until(lambda: held.remaining_s() > 19.9)

    assert not lost.is_set()
    held.stop()


def test_who_starts_while_the_store_is_full_waits_for_room(store: Store, server: Console) -> None:
    held = lease(store, threading.Event())
    starting = threading.Thread(target=lambda: held.start(within_s=20), daemon=True)

    with filled(server, 2.0):
        starting.start()
        with pytest.raises(Overloaded):
            lease(store, threading.Event()).start()
        assert starting.is_alive()
    starting.join(10)

    assert held.remaining_s() > 0
    held.stop()


def test_who_waits_for_room_can_be_stopped(store: Store, server: Console) -> None:
    with filled(server, 2.0), pytest.raises(Overloaded):
        lease(store, threading.Event()).start(within_s=60, is_stopping=lambda: True)


def test_a_full_store_that_was_used_before_is_admitted(store: Store, server: Console) -> None:
    admit(store, "prod")

    with filled(server, 2.0):
        assert admit(store, "prod").namespace == "prod"


def test_a_nearly_full_store_refuses_new_inputs_and_takes_all_else(store: Store, server: Console) -> None:
    log = Log(store, Keys("t", 2), guard=Guard(store, every_s=0).check)

    with filled(server, 0.9):
        with pytest.raises(Overloaded) as refused:
            log.append(S, [tell(Told())], create=CREATED, external=True)
        assert refused.value.reason == "store_nearly_full"
        assert log.head(S) == 0
        log.append(S, [tell(Told())], create=CREATED)
        log.append(S, [tell(Told())], external=True, source=("other", 1))

    log.append(S, [tell(Told())], external=True)
    assert log.head(S) == 4


def test_the_guard_asks_the_store_once_in_a_while(store: Store, server: Console) -> None:
    slow = Guard(store, every_s=3600)
    slow.check()

    with filled(server, 0.9):
        slow.check()
        with pytest.raises(Overloaded):
            Guard(store).check()


def test_the_guard_of_a_store_that_is_away_says_nothing() -> None:
    Guard(Store("unix:///nonexistent/store", retries=0)).check()
