"""The spool's file: durable, bounded, in order, and moved aside when it is corrupt."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.errors import Overloaded, TooLarge
from services.spool.database import SpoolFailed, corrupt_files, current_file
from services.spool.facts import read_facts, spool_gauges
from services.spool.file import BATCH_ROWS, Bounds, SpoolFile
from services.spool.gate import FileLock
from services.spool.spool import COUNT, Spool
from services.streams.blobs import BODY_LIMIT
from services.streams.event import StreamId
from services.telemetry.counters import Counters
from tests.fakes.spool_stage import entry, sql

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def file(folder: Path) -> Iterator[SpoolFile]:
    made = SpoolFile(folder)
    yield made
    made.close()


def _keys(file: SpoolFile) -> list[str]:
    return [row.entry.key for row in file.oldest() if row.entry]


def test_what_is_kept_comes_back_as_it_was(file: SpoolFile) -> None:
    kept = entry(body='{"text": "grüß \\ud83d\\ude00"}')

    assert file.add([kept]) == ["new"]

    assert [row.entry for row in file.oldest()] == [kept]


def test_what_waits_already_is_not_kept_again(file: SpoolFile) -> None:
    file.add([entry(key="a")])

    assert file.add([entry(key="a", body="other"), entry(key="b")]) == ["known", "new"]

    assert _keys(file) == ["a", "b"]


def test_the_oldest_stream_comes_first_and_each_in_its_order(file: SpoolFile) -> None:
    file.add([entry("inbound:b", "1"), entry("inbound:a", "2"), entry("inbound:b", "3")])

    first = file.oldest()
    file.remove(first)

    assert [row.entry.key for row in first if row.entry] == ["1", "3"]
    assert _keys(file) == ["2"]
    assert [file.holds(StreamId(name)) for name in ("inbound:a", "inbound:b")] == [True, False]


def test_no_more_rows_are_taken_at_once_than_go_together(file: SpoolFile) -> None:
    file.add([entry(key=str(n)) for n in range(BATCH_ROWS + 1)])
    file.add([entry("inbound:large", str(n), body="x" * 200_000) for n in range(2)])

    rows = file.oldest()
    file.remove(rows)
    file.remove(file.oldest())

    assert (len(rows), len(file.oldest())) == (BATCH_ROWS, 1)


def test_a_full_spool_takes_nothing_but_what_it_has(folder: Path) -> None:
    file = SpoolFile(folder, Bounds(rows=2))

    found = file.add([entry(key="1"), entry(key="2"), entry(key="3"), entry(key="1")])

    assert found == ["new", "new", "full", "known"]
    assert not file.has_room()
    file.remove(file.oldest())
    assert file.has_room()


def test_bytes_are_bounded_and_what_was_refused_counts_among_them(folder: Path) -> None:
    file = SpoolFile(folder, Bounds(bytes=3000))
    file.add([entry(key="1", body="x" * 2000)])
    (row,) = file.oldest()

    file.reject(row, "too_large")

    assert file.add([entry(key="2", body="x" * 2000)]) == ["full"]
    assert file.add([entry(key="3")]) == ["new"]
    assert read_facts(folder).rejected == {"too_large": 1}


def test_the_file_and_its_folder_are_their_owners_only(file: SpoolFile, folder: Path) -> None:
    file.add([entry()])

    assert folder.stat().st_mode & 0o777 == 0o700
    assert {
        path.name: path.stat().st_mode & 0o077 for path in folder.iterdir() if path.stat().st_mode & 0o077
    } == {}


@pytest.mark.parametrize("garbage", [b"", b"no database at all" * 500])
def test_a_file_that_is_no_spool_is_moved_aside_and_kept(folder: Path, garbage: bytes) -> None:
    folder.mkdir()
    (folder / "spool-0000000000001.sqlite3").write_bytes(garbage)
    spool = Spool(SpoolFile(folder), Counters())

    assert spool.put(entry())

    (aside,) = corrupt_files(folder)
    assert aside.read_bytes() == garbage
    assert read_facts(folder).corrupt == (str(aside),)
    assert read_facts(folder).waiting == 1


def _spoil(folder: Path, *, from_page: int = 1) -> None:
    path = current_file(folder)
    assert path is not None
    with path.open("r+b") as opened:
        opened.seek(from_page * 4096)
        opened.write(b"\xa5" * 4096 * 12)


def test_a_page_that_is_spoiled_later_moves_the_file_aside(file: SpoolFile, folder: Path) -> None:
    spool = Spool(file, Counters())
    for n in range(40):
        spool.put(entry(key=str(n), body="x" * 3000))
    file.shrink()
    _spoil(folder)

    def drain() -> None:
        while rows := spool.oldest():
            file.remove(rows)

    with pytest.raises(SpoolFailed):
        drain()

    assert spool.put(entry(key="after"))
    assert len(corrupt_files(folder)) == 1
    assert _keys(file) == ["after"]


def test_another_process_leaves_a_file_that_was_moved_aside(file: SpoolFile, folder: Path) -> None:
    other = SpoolFile(folder)
    other.add([entry(key="before")])
    assert other.holds(entry().stream)
    other_spool = Spool(other, Counters())
    path = current_file(folder)
    assert path is not None
    path.rename(path.with_name(f"{path.name}.corrupt"))
    file.add([entry(key="first")])

    other_spool.put(entry(key="second"))
    other.close()

    assert _keys(file) == ["first", "second"]


def test_a_lock_that_is_not_given_up_is_a_failure_and_no_wait(file: SpoolFile, folder: Path) -> None:
    file.prepare()
    somebody = FileLock(folder / "writing")
    assert somebody.take()

    with pytest.raises(SpoolFailed, match="busy"):
        file.add([entry()])

    somebody.free()
    assert file.add([entry()]) == ["new"]


def test_a_database_that_somebody_else_locks_is_a_failure(file: SpoolFile, folder: Path) -> None:
    file.prepare()
    path = current_file(folder)
    assert path is not None
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(SpoolFailed, match="busy"):
        file.add([entry()])

    other.close()
    assert file.add([entry()]) == ["new"]


def test_a_folder_that_can_not_be_made_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    file = SpoolFile(tmp_path / "taken")

    with pytest.raises(SpoolFailed):
        file.add([entry()])
    assert not Spool(file, Counters()).has_room()


def test_the_file_of_a_newer_release_is_left_alone(file: SpoolFile, folder: Path) -> None:
    file.add([entry()])
    file.close()
    sql(folder, "PRAGMA user_version = 99")

    with pytest.raises(SpoolFailed, match="newer"):
        file.add([entry(key="2")])
    assert not corrupt_files(folder)


def test_many_threads_share_commits_and_each_learns_its_own_end(folder: Path) -> None:
    counters = Counters()
    spool = Spool(SpoolFile(folder, Bounds(rows=150)), counters)
    start = threading.Barrier(16)

    def put(number: int) -> list[str]:
        start.wait()
        found = []
        for n in range(20):
            try:
                found.append("new" if spool.put(entry(key=f"{number % 8}-{n}")) else "known")
            except Overloaded:
                found.append("full")
        return found

    with ThreadPoolExecutor(16) as pool:
        ends = [end for found in pool.map(put, range(16)) for end in found]

    assert ends.count("new") == 150
    assert sql(folder, "SELECT count(*) FROM waiting") == [(150,)]
    assert sum(counters.totals().values()) == 320


def test_what_the_log_could_never_take_is_refused_at_once(folder: Path) -> None:
    spool = Spool(SpoolFile(folder), Counters())

    with pytest.raises(TooLarge):
        spool.put(entry(body="x" * (BODY_LIMIT + 1)))


_FILLS_A_DISK = """
import resource, signal, sys
from pathlib import Path
from services.errors import TurnwrightError
from services.spool.file import SpoolFile
from services.spool.spool import Spool
from services.telemetry.counters import Counters
from tests.fakes.spool_stage import entry

folder = Path(sys.argv[1])
file = SpoolFile(folder)
spool = Spool(file, Counters())
spool.put(entry(key="first"))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
acknowledged = ["first"]
for n in range(100):
    try:
        spool.put(entry(key=str(n), body="x" * 9_000))
        acknowledged.append(str(n))
    except TurnwrightError as error:
        refused = error
        break
else:
    raise SystemExit("never full")
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
spool.put(entry(key="afterwards"))
print(*acknowledged, "afterwards")
print(type(refused).__name__, refused.reason)
"""


def test_a_full_disk_refuses_and_keeps_what_was_acknowledged(folder: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _FILLS_A_DISK, str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    acknowledged, error = ran.stdout.strip().splitlines()
    assert error.startswith("SpoolFailed ")
    kept = [str(key) for (key,) in sql(folder, "SELECT key FROM waiting ORDER BY seq")]
    assert kept == acknowledged.split()
    assert not corrupt_files(folder)


_DIES = """
import os, signal, sys
from pathlib import Path
from services.spool.file import SpoolFile
from tests.fakes.spool_stage import entry

file = SpoolFile(Path(sys.argv[1]))
for n in range(50):
    file.add([entry(key=str(n))])
    os.write(1, f"{n}\\n".encode())
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_nothing_that_it_acknowledged(folder: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _DIES, str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == -9, ran.stderr
    file = SpoolFile(folder)
    assert _keys(file) == ran.stdout.split()
    assert read_facts(folder).waiting == 50


def test_a_clock_that_was_set_back_makes_no_negative_age(file: SpoolFile, folder: Path) -> None:
    file.add([entry(at=10_000_000_000_000)])

    assert read_facts(folder).oldest_s == 0


def test_a_spool_that_can_not_be_read_says_so_as_a_metric(folder: Path) -> None:
    folder.mkdir()
    (folder / "spool-0000000000001.sqlite3").write_bytes(b"garbage" * 1000)

    assert [(gauge.name, gauge.samples[0][1]) for gauge in spool_gauges(folder)] == [
        ("turnwright_spool_works", 0)
    ]


def test_counts_have_the_names_of_the_catalogue(folder: Path) -> None:
    counters = Counters()

    Spool(SpoolFile(folder), counters).put(entry())

    assert [(series.name, series.labels) for series in counters.totals()] == [(COUNT, ("spooled",))]
