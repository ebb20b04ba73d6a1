"""What a host does to its spool: fills its disk, takes rights away, dies in between, sets its clock, shares it."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.diagnosis.spooled import check_spool
from services.errors import Overloaded
from services.spool.database import SpoolFailed, connect, corrupt_files, current_file
from services.spool.facts import read_facts
from services.spool.file import LEAST_FREE, Bounds, SpoolFile
from services.spool.spool import Spool
from services.spool_settings import SpoolSettings
from services.streams.blobs import BODY_LIMIT
from services.telemetry.counters import Counters
from tests.fakes.spool_stage import entry

NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def file(folder: Path) -> Iterator[SpoolFile]:
    made = SpoolFile(folder)
    yield made
    made.close()


def test_a_spool_stops_before_its_disk_is_full_and_can_be_drained_then(folder: Path, file: SpoolFile) -> None:
    file.add([entry(key="1")])
    short = SpoolFile(folder, Bounds(free=shutil.disk_usage(folder).free + LEAST_FREE))

    with pytest.raises(Overloaded) as refused:
        Spool(short, Counters()).put(entry(key="2"))
    assert (refused.value.reason, short.has_room()) == ("spool_full", False)
    short.remove(short.oldest())
    assert short.oldest() == []
    short.close()


def test_what_is_left_free_holds_the_largest_row_once_more() -> None:
    assert LEAST_FREE >= 2 * BODY_LIMIT


def test_doctor_warns_of_a_disk_without_room(file: SpoolFile, folder: Path) -> None:
    file.prepare()

    found = [each.state for each in check_spool(SpoolSettings(folder=folder), least_free=1 << 60)]

    assert found == ["ok", "warning"]


def test_a_drained_spool_gives_its_disk_back(file: SpoolFile, folder: Path) -> None:
    for n in range(40):
        file.add([entry(key=f"{n}-{m}", body="x" * 9_000) for m in range(10)])
    path = current_file(folder)
    assert path is not None
    while rows := file.oldest():
        file.remove(rows)
    before = path.stat().st_size

    file.shrink()

    assert before > 3_000_000
    assert sum(each.stat().st_size for each in folder.glob("spool-*")) < 200_000


def test_a_folder_that_another_installation_uses_is_left_alone(file: SpoolFile, folder: Path) -> None:
    file.add([entry(key="theirs")])
    other = SpoolFile(folder, namespace="dev")

    for use in (other.oldest, other.prepare, lambda: other.add([entry(key="ours")])):
        with pytest.raises(SpoolFailed, match="of_another_namespace"):
            use()

    assert [row.entry.key for row in file.oldest() if row.entry] == ["theirs"]
    assert not corrupt_files(folder)
    (said,) = check_spool(SpoolSettings(folder=folder), namespace="dev")
    assert (said.state, "of_another_namespace" in said.text) == ("problem", True)
    other.close()


def test_a_clock_that_was_set_back_writes_over_nothing_that_was_moved_aside(folder: Path) -> None:
    folder.mkdir()
    now_ms = time.time_ns() // 1_000_000
    aside = [folder / f"spool-{ms:013d}.sqlite3.corrupt" for ms in range(now_ms, now_ms + 5_000)]
    for each in aside:
        each.touch()

    file = SpoolFile(folder)
    file.add([entry()])

    path = current_file(folder)
    assert path is not None
    assert path.with_name(f"{path.name}.corrupt") not in aside
    assert read_facts(folder).waiting == 1
    file.close()


def test_a_clock_that_jumps_keeps_the_order(file: SpoolFile) -> None:
    for key, at in (("1", 0), ("2", -9_000_000_000), ("3", 9_000_000_000), ("4", 0)):
        file.add([entry(key=key, at=at)])

    assert [row.entry.key for row in file.oldest() if row.entry] == ["1", "2", "3", "4"]


def test_a_death_while_a_file_is_moved_aside_keeps_its_journal(file: SpoolFile, folder: Path) -> None:
    file.add([entry(key="in the journal")])
    path = current_file(folder)
    assert path is not None
    path.rename(f"{path}.corrupt")

    SpoolFile(folder).add([entry(key="next")])

    (aside,) = corrupt_files(folder)
    db = connect(aside)
    assert db.execute("SELECT key FROM waiting").fetchall() == [("in the journal",)]
    db.close()
    assert read_facts(folder).waiting == 1


def test_one_that_can_not_be_written_down_is_nobody_elses_loss(folder: Path) -> None:
    file = SpoolFile(folder)
    spool, failed = Spool(file, Counters()), list[str]()
    file.prepare()

    def put(key: str) -> None:
        try:
            spool.put(entry(key=key))
        except SpoolFailed as error:
            failed.append(error.reason)

    with file.transaction():
        threads = [threading.Thread(target=put, args=(key,)) for key in ("1", "\ud800", "2", "3")]
        for each in threads:
            each.start()
    for each in threads:
        each.join()

    assert failed == ["defect"]
    assert {row.entry.key for row in file.oldest() if row.entry} == {"1", "2", "3"}
    file.close()


def test_a_folder_whose_rights_were_taken_away_is_a_failure_until_they_are_given_back() -> None:
    with tempfile.TemporaryDirectory(prefix="tw-rights-") as base:
        os.chmod(base, 0o755)
        folder = Path(base) / "spool"
        folder.mkdir(mode=0o555)
        file = SpoolFile(folder)
        with _as_nobody():
            with pytest.raises(SpoolFailed, match="permission_denied"):
                file.add([entry(key="1")])
            assert not file.is_there()
        os.chmod(folder, 0o777)
        with _as_nobody():
            assert file.add([entry(key="1")]) == ["new"]
            assert read_facts(folder).waiting == 1
        file.close()


@contextmanager
def _as_nobody() -> Iterator[None]:
    """Root may write anywhere; others are who they are."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
