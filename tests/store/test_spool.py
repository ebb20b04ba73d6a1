"""Webhooks while the log store is away: kept on the host, in order, once, and taken to their streams afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from deploy.backend import ANSWER_S
from services.errors import Overloaded, Unavailable
from services.spool.database import SpoolFailed
from services.spool.entry import Appender
from services.spool.facts import read_facts
from services.spool.file import Bounds
from services.streams.admission import Guard
from services.streams.keys import Keys
from services.streams.log import Log
from services.streams.store import Store
from tests.fakes.spool_stage import Host, entry, sql
from tests.fakes.store_proxy import StoreProxy, proxy_before
from tests.fakes.store_servers import Console

STREAM = "inbound:slack:T1:C1"


@pytest.fixture
def proxy(store_url: str) -> Iterator[StoreProxy]:
    with proxy_before(store_url) as made:
        yield made


@pytest.fixture
def log(proxy: StoreProxy, keys: Keys) -> Iterator[Log]:
    """The log as captures see it, behind a proxy."""
    store = Store(proxy.url, timeout_s=0.2, retries=1, repeats_timeouts=False)
    yield Log(store, keys, guard=Guard(store, is_strict=True).check)
    store.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def host(folder: Path, log: Log) -> Iterator[Host]:
    made = Host(folder, log)
    yield made
    made.close()


def test_while_the_store_answers_nothing_is_spooled(host: Host) -> None:
    assert host.keep(entry(key="1"), entry(key="1"), entry(key="2")) == ["kept", "duplicate", "kept"]

    assert host.kept() == ["1", "2"]
    assert not host.spool.oldest()


def test_what_comes_while_the_store_hangs_is_spooled_and_drained_in_order(
    host: Host, proxy: StoreProxy
) -> None:
    host.keep(entry(key="0"))
    proxy.swallows_all = True

    ends = host.keep(
        entry(key="1"), entry(key="2"), entry(key="1"), entry("inbound:github:7", "g"), entry(key="3")
    )
    drained_too_early = host.drainer.round()
    proxy.swallows_all = False
    drained = host.drainer.round()

    assert ends == ["spooled", "spooled", "duplicate", "spooled", "spooled"]
    assert (drained_too_early, drained) == (0, 4)
    assert host.kept() == ["0", "1", "2", "3"]
    assert host.kept("inbound:github:7") == ["g"]
    assert host.keep(entry(key="4")) == ["kept"]
    assert [host.counted(each) for each in ("spooled", "duplicate", "drained")] == [4, 1, 4]


def test_only_the_first_waits_for_a_store_that_hangs(host: Host, proxy: StoreProxy) -> None:
    host.file.prepare()
    proxy.swallows_all = True
    began = time.monotonic()
    host.keep(entry(key="first"))
    first_s = time.monotonic() - began

    connections = proxy.connections
    host.keep(*(entry(key=str(n)) for n in range(50)))

    assert first_s >= 0.2
    assert proxy.connections == connections


def test_a_try_takes_one_answer_and_no_repeat(log: Log, proxy: StoreProxy) -> None:
    log.head(entry().stream)
    proxy.swallows_all = True
    connections, began = proxy.connections, time.monotonic()

    with pytest.raises(Unavailable):
        Appender(log).append([entry()])

    assert proxy.connections == connections
    assert time.monotonic() - began < 3 * 0.2
    assert ANSWER_S <= 1.5


def test_an_answer_that_came_too_late_answers_nothing_else(log: Log, proxy: StoreProxy) -> None:
    Appender(log).append([entry(key="1")])
    proxy.swallow_open_connections()
    with pytest.raises(Unavailable):
        Appender(log).append([entry(key="2")])

    done = Appender(log).append([entry(key="3")])

    assert done.offsets == [done.head]
    assert log.offset_of(entry().stream, "3") == done.head


def test_a_connection_that_was_cut_is_made_anew_and_nothing_spooled(host: Host, bare: Console) -> None:
    host.keep(entry(key="1"))
    bare.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    assert host.keep(entry(key="2")) == ["kept"]


def test_new_ones_of_a_stream_queue_up_behind_those_that_wait(host: Host, proxy: StoreProxy) -> None:
    proxy.swallows_all = True
    host.keep(entry(key="1"))
    proxy.swallows_all = False
    assert host.reach.look()

    ends = host.keep(entry(key="2"), entry("inbound:other", "o"))
    host.drainer.round()

    assert ends == ["spooled", "kept"]
    assert host.kept() == ["1", "2"]


def test_the_order_holds_over_the_processes_of_a_host(host: Host, folder: Path, proxy: StoreProxy) -> None:
    proxy.swallows_all = True
    host.keep(entry(key="1"))
    proxy.swallows_all = False
    other = Host(folder, host.log)

    ends = other.keep(entry(key="2"))
    host.drainer.round()

    assert ends == ["spooled"]
    assert host.kept() == ["1", "2"]
    assert other.keep(entry(key="3")) == ["kept"]
    other.close()


def test_one_process_of_a_host_drains_and_the_next_when_it_ends(host: Host, folder: Path) -> None:
    host.file.prepare()
    other = Host(folder, host.log)
    host.drainer.round()
    host.spool.put(entry(key="1"))

    assert other.drainer.round() == 0
    host.close()
    assert other.drainer.round() == 1
    other.close()


def test_what_was_spooled_and_captured_elsewhere_too_is_one_event(host: Host, proxy: StoreProxy) -> None:
    proxy.swallows_all = True
    host.keep(entry(key="1"))
    proxy.swallows_all = False

    Appender(host.log).append([entry(key="1")])
    host.drainer.round()

    assert host.kept() == ["1"]


def test_a_death_between_append_and_removal_makes_no_second_event(host: Host) -> None:
    host.spool.put(entry(key="1"))
    host.spool.put(entry(key="2"))
    Appender(host.log).append([row.entry for row in host.spool.oldest() if row.entry])

    host.drainer.round()

    assert host.kept() == ["1", "2"]
    assert not host.spool.oldest()


def test_the_time_of_the_sender_and_the_trace_are_kept(host: Host, proxy: StoreProxy) -> None:
    proxy.swallows_all = True
    host.keep(sent := entry(key="1", at=5))
    proxy.swallows_all = False
    host.drainer.round()

    (event,) = [each for each in host.log.read(sent.stream, after=0) if each.key == "1"]

    assert bytes(event.payload) == bytes(sent.event.payload)
    assert event.created_at > 0


def test_what_the_store_refuses_for_good_is_put_aside_and_frees_its_stream(
    host: Host, folder: Path, keys: Keys, bare: Console
) -> None:
    bare.execute_command("SET", keys.log(entry("inbound:broken").stream), "not a stream")
    host.spool.put(entry("inbound:broken", "1"))
    host.spool.put(entry("inbound:broken", "2"))
    host.spool.put(entry(key="fine"))

    host.drainer.round()

    assert host.kept() == ["fine"]
    assert read_facts(folder).rejected == {"defect": 2}
    assert not host.spool.holds(entry("inbound:broken").stream)
    assert host.counted("rejected") == 2
    assert sql(folder, "SELECT key FROM rejected ORDER BY seq") == [("1",), ("2",)]


def test_only_the_row_whose_fault_it_is_is_refused(host: Host, folder: Path) -> None:
    for key in ("1", "2", "3"):
        host.spool.put(entry(key=key))
    sql(folder, "UPDATE waiting SET event = 'no document' WHERE key = '2'")

    host.drainer.round()

    assert host.kept() == ["1", "3"]
    assert read_facts(folder).rejected == {"unreadable": 1}


def test_a_full_store_takes_what_waits_later(host: Host, folder: Path, keys: Keys, bare: Console) -> None:
    used = bare.execute_command("INFO", "memory")["used_memory"]
    host.spool.put(entry(key="1"))
    bare.execute_command("CONFIG", "SET", "maxmemory", used + 1)
    full = Host(folder, Log(host.log.store, keys, guard=Guard(host.log.store, is_strict=True).check))
    try:
        assert full.drainer.round() == 0
        with pytest.raises(Overloaded):
            full.keep(entry("inbound:other", "2"))
    finally:
        bare.execute_command("CONFIG", "SET", "maxmemory", 0)
        full.close()

    assert host.drainer.round() == 1
    assert host.kept() == ["1"]


def test_a_store_that_can_not_write_for_the_moment_refuses_nothing_for_good(
    host: Host, folder: Path, bare: Console
) -> None:
    host.spool.put(entry(key="1"))
    bare.execute_command("CONFIG", "SET", "min-replicas-to-write", 1)
    try:
        assert host.drainer.round() == 0
        assert host.keep(entry("inbound:other", "2")) == ["spooled"]
    finally:
        bare.execute_command("CONFIG", "SET", "min-replicas-to-write", 0)

    assert read_facts(folder).rejected == {}
    assert host.drainer.round() == 2
    assert (host.kept(), host.kept("inbound:other")) == (["1"], ["2"])


def test_a_full_spool_refuses_so_that_the_sender_comes_again(
    folder: Path, log: Log, proxy: StoreProxy
) -> None:
    host = Host(folder, log, bounds=Bounds(rows=1))
    proxy.swallows_all = True
    host.keep(entry(key="1"))

    with pytest.raises(Overloaded, match="spool_full"):
        host.keep(entry(key="2"))

    assert host.counted("full") == 1
    host.close()


def test_a_spool_that_does_not_work_leaves_the_store_to_be_tried(
    tmp_path: Path, log: Log, proxy: StoreProxy
) -> None:
    (tmp_path / "file").write_text("")
    host = Host(tmp_path / "file", log)

    assert host.keep(entry(key="1")) == ["kept"]
    proxy.swallows_all = True
    with pytest.raises(SpoolFailed):
        host.keep(entry(key="2"))


def test_a_flood_during_outage_and_recovery_is_kept_once_and_in_order(host: Host, proxy: StoreProxy) -> None:
    def send(thread: int) -> list[str]:
        return host.keep(*(entry(f"inbound:{thread}", f"{n:03d}") for n in range(60)))

    proxy.swallows_all = True
    with ThreadPoolExecutor(8) as pool:
        sending = [pool.submit(send, thread) for thread in range(8)]
        while host.counted("spooled") < 100:
            assert not all(each.done() for each in sending)
        proxy.swallows_all = False
        while not all(each.done() for each in sending):
            host.drainer.round()
    host.drainer.round()

    assert {end for each in sending for end in each.result()} <= {"spooled", "kept"}
    for thread in range(8):
        assert host.kept(f"inbound:{thread}") == [f"{n:03d}" for n in range(60)]


def test_where_it_may_be_answered_goes_along_and_is_kept_before_the_event(
    host: Host, proxy: StoreProxy
) -> None:
    there = msgspec.structs.replace(entry(key="1"), answer_at="https://hooks.example.org/1")
    later = msgspec.structs.replace(entry(key="2"), answer_at="https://hooks.example.org/2")
    host.keep(there)
    proxy.swallows_all = True
    host.keep(later)
    proxy.swallows_all = False

    host.drainer.round()

    assert host.beside == [there.answer_at, later.answer_at, later.answer_at]
    assert host.kept() == ["1", "2"]
