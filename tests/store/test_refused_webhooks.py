"""What a person does about webhooks that were acknowledged and that the log refused for good."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from services.diagnosis.spooled import check_spool
from services.errors import NotFound
from services.spool.database import current_file, move_aside
from services.spool.facts import read_facts
from services.spool.refused import ALL, RefusedWebhooks
from services.spool_settings import SpoolSettings
from services.streams.keys import Keys
from services.streams.log import Log
from services.streams.store import Store
from tests.fakes.spool_stage import RECEIVED_MS, Host, entry, sql
from tests.fakes.store_servers import Console

BROKEN = "inbound:broken"


@pytest.fixture
def log(store_url: str, keys: Keys) -> Iterator[Log]:
    store = Store(store_url)
    yield Log(store, keys)
    store.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def host(folder: Path, log: Log) -> Iterator[Host]:
    made = Host(folder, log)
    yield made
    made.close()


@pytest.fixture
def refused(host: Host, folder: Path) -> RefusedWebhooks:
    return RefusedWebhooks(SpoolSettings(folder=folder), host.file, host.counters)


def refuse(host: Host, keys: Keys, bare: Console, *names: str) -> None:
    """Have the log refuse webhooks: their stream's key is something else."""
    bare.execute_command("SET", keys.log(entry(BROKEN).stream), "not a stream")
    for name in names:
        host.spool.put(entry(BROKEN, name))
    host.drainer.round()


def test_they_are_listed_page_by_page_with_what_is_known(
    host: Host, refused: RefusedWebhooks, keys: Keys, bare: Console
) -> None:
    refuse(host, keys, bare, "1", "2", "3")
    host.spool.put(entry(key="waits"))

    first = refused.page(limit=2)
    second = refused.page(after=first.cursor, limit=2)

    rows = [*first.refused, *second.refused]
    assert [(row.stream, row.key, row.reason) for row in rows] == [(BROKEN, each, "defect") for each in "123"]
    assert {row.received_at for row in rows} == {RECEIVED_MS}
    assert (first.waiting, second.cursor) == (1, None)
    shown = refused.show(rows[0].id)
    assert msgspec.json.decode(shown.body)["source"] == "slack"


def test_one_that_is_retried_arrives_once_its_reason_is_mended(
    host: Host, refused: RefusedWebhooks, keys: Keys, bare: Console
) -> None:
    refuse(host, keys, bare, "1", "2")
    bare.execute_command("DEL", keys.log(entry(BROKEN).stream))
    second = refused.page().refused[1].id

    assert refused.retry(second).changed == 1
    host.drainer.round()

    assert host.kept(BROKEN) == ["2"]
    assert [row.key for row in refused.page().refused] == ["1"]
    assert host.counted("retried") == 1
    assert refused.retry(second).changed == 0


def test_all_are_retried_in_their_order_and_refused_again_where_nothing_was_mended(
    host: Host, refused: RefusedWebhooks, keys: Keys, bare: Console
) -> None:
    refuse(host, keys, bare, "1", "2", "3")

    assert refused.retry(ALL).changed == 3
    host.drainer.round()
    assert [row.key for row in refused.page().refused] == ["1", "2", "3"]

    bare.execute_command("DEL", keys.log(entry(BROKEN).stream))
    refused.retry(ALL)
    host.drainer.round()
    assert host.kept(BROKEN) == ["1", "2", "3"]


def test_one_that_its_sender_sent_again_meanwhile_is_one_event(
    host: Host, refused: RefusedWebhooks, keys: Keys, bare: Console, folder: Path
) -> None:
    refuse(host, keys, bare, "1")
    bare.execute_command("DEL", keys.log(entry(BROKEN).stream))
    host.spool.put(entry(BROKEN, "1"))

    refused.retry(ALL)
    host.drainer.round()

    assert host.kept(BROKEN) == ["1"]
    facts = read_facts(folder)
    assert (facts.waiting, facts.rejected, facts.bytes) == (0, {}, 0)


def test_one_that_is_discarded_is_gone_and_the_others_are_not(
    host: Host, refused: RefusedWebhooks, keys: Keys, bare: Console, folder: Path
) -> None:
    refuse(host, keys, bare, "1", "2", "3")
    first = refused.page().refused[0].id

    assert refused.discard(first).changed == 1
    assert [row.key for row in refused.page().refused] == ["2", "3"]
    with pytest.raises(NotFound):
        refused.show(first)
    assert refused.discard(ALL).changed == 2
    assert (read_facts(folder).rejected, read_facts(folder).bytes) == ({}, 0)


def test_an_id_of_a_file_that_was_moved_aside_names_nothing_in_the_next(
    host: Host, refused: RefusedWebhooks, keys: Keys, bare: Console, folder: Path
) -> None:
    refuse(host, keys, bare, "1")
    before = refused.page().refused[0].id
    path = current_file(folder)
    assert path is not None
    move_aside(path)
    refuse(host, keys, bare, "2")

    assert refused.discard(before).changed == 0
    with pytest.raises(NotFound):
        refused.show(before)
    assert len(sql(folder, "SELECT 1 FROM rejected")) == 1


def test_one_that_can_not_be_read_is_listed_too(host: Host, refused: RefusedWebhooks, folder: Path) -> None:
    host.spool.put(entry(key="1"))
    sql(folder, "UPDATE waiting SET event = x'ff00'")
    host.drainer.round()

    (row,) = refused.page().refused
    assert (row.reason, refused.show(row.id).body) == ("unreadable", "")
    assert refused.retry(row.id).changed == 1
    host.drainer.round()
    assert refused.page().refused[0].reason == "unreadable"


def test_doctor_names_the_command_that_shows_them(
    host: Host, keys: Keys, bare: Console, folder: Path
) -> None:
    refuse(host, keys, bare, "1", "2")

    (problem,) = [each for each in check_spool(SpoolSettings(folder=folder)) if each.state == "problem"]

    assert "2 acknowledged webhook(s) were refused for good by the log store (defect: 2)" in problem.text
    assert "`turnwright spool`" in problem.text


def test_where_there_is_no_spool_it_says_why(host: Host) -> None:
    nowhere = RefusedWebhooks(SpoolSettings(off="TURNWRIGHT_SPOOL=off"), None, host.counters)

    assert nowhere.page().off == "TURNWRIGHT_SPOOL=off"
    assert nowhere.retry(ALL).changed == 0
