"""The spool's SQLite file: how it is found, made, opened, and moved aside when it is corrupt. Never deleted.

A new file has a new name, because a connection to an old one deletes the journal of that name when it closes.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import time
import zlib
from contextlib import closing, suppress
from pathlib import Path

from services.errors import Unavailable
from services.logs import get_logger

PATTERN = "spool-*.sqlite3"
ASIDE = ".corrupt"
VERSION = 1
Place = tuple[Path, int]
# What SQLite waits for others itself; writers wait for each other before.
BUSY_S = 0.3
_PAGE = 4096
_LEAST_PAGES = 64
_DRAFT = "draft"

_SCHEMA = """
CREATE TABLE waiting (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL, key TEXT NOT NULL,
    event BLOB NOT NULL, beginning BLOB NOT NULL, received_ms INTEGER NOT NULL, size INTEGER NOT NULL,
    answer_at TEXT NOT NULL);
CREATE UNIQUE INDEX waiting_key ON waiting (stream, key);
CREATE INDEX waiting_order ON waiting (stream, seq);
CREATE TABLE rejected (
    seq INTEGER PRIMARY KEY, stream TEXT NOT NULL, key TEXT NOT NULL,
    event BLOB NOT NULL, beginning BLOB NOT NULL, received_ms INTEGER NOT NULL, size INTEGER NOT NULL,
    reason TEXT NOT NULL, rejected_ms INTEGER NOT NULL);
CREATE TABLE held (rows INTEGER NOT NULL, bytes INTEGER NOT NULL);
INSERT INTO held VALUES (0, 0);
CREATE TRIGGER waits AFTER INSERT ON waiting BEGIN
    UPDATE held SET rows = rows + 1, bytes = bytes + NEW.size; END;
CREATE TRIGGER waited AFTER DELETE ON waiting BEGIN
    UPDATE held SET rows = rows - 1, bytes = bytes - OLD.size; END;
CREATE TRIGGER refused AFTER INSERT ON rejected BEGIN
    UPDATE held SET rows = rows + 1, bytes = bytes + NEW.size; END;
CREATE TRIGGER cleared AFTER DELETE ON rejected BEGIN
    UPDATE held SET rows = rows - 1, bytes = bytes - OLD.size; END;
"""


class SpoolFailed(Unavailable):
    """The spool can not keep or tell anything now. `reason` is a safe code."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the spool does not work ({reason})")
        self.reason = reason


def current_file(folder: Path) -> Path | None:
    """The file in use; None before the first one."""
    return max(folder.glob(PATTERN), default=None)


def corrupt_files(folder: Path) -> list[Path]:
    """What was moved aside, oldest first."""
    return sorted(folder.glob(f"{PATTERN}{ASIDE}"))


def make_folder(folder: Path) -> None:
    """Make the spool's folder, durably, for its owner only. Raises: OSError."""
    if not folder.is_dir():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync(folder.parent)


def open_or_make(folder: Path, *, most_bytes: int, namespace: str) -> tuple[sqlite3.Connection, Path]:
    """The file in use, or a new one, to write in. Only for who keeps others from writing meanwhile.

    It belongs to `namespace`: what one installation acknowledged is not for the log of another.
    Raises: sqlite3.Error, OSError, SpoolFailed.
    """
    path = current_file(folder) or _make(folder, namespace)
    db = connect(path)
    try:
        _prepare(db, most_bytes)
        _check(db, namespace)
    except BaseException:
        close(db)
        raise
    return db, path


def check_owner(db: sqlite3.Connection, namespace: str) -> None:
    """See whether a file belongs to `namespace`. Raises: SpoolFailed, sqlite3.Error."""
    if db.execute("PRAGMA application_id").fetchone() != (_mark(namespace),):
        raise SpoolFailed("of_another_namespace")


def connect(path: Path, *, is_reader: bool = False) -> sqlite3.Connection:
    """A connection to the file at `path`, which is there. Raises: sqlite3.Error."""
    db = sqlite3.connect(
        f"{path.as_uri()}?mode={'ro' if is_reader else 'rw'}",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )
    # A commit returns when its bytes are on the disk, on macOS too.
    for pragma in ("synchronous = FULL", "secure_delete = ON", "fullfsync = 1", "checkpoint_fullfsync = 1"):
        db.execute(f"PRAGMA {pragma}")
    return db


def move_aside(path: Path) -> None:
    """Keep a corrupt file, and its journal, under a name that nobody uses. Raises: OSError."""
    # The file first: without it its journal means nothing to anybody, and would be lost to one that stays behind.
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(path.with_name(f"{path.name}{ASIDE}{suffix}"))
    _sync(path.parent)
    get_logger("spool").error("spool_moved_aside", file=f"{path.name}{ASIDE}")


def _finish_moves(folder: Path) -> None:
    """Who died while moving a file aside left its journal behind."""
    for aside in corrupt_files(folder):
        for suffix in ("-wal", "-shm"):
            left = aside.with_name(aside.name.removesuffix(ASIDE) + suffix)
            if left.exists():
                left.rename(f"{aside}{suffix}")


def is_corrupt(error: Exception) -> bool:
    """Whether the file itself is what is wrong."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def reason_of(error: Exception) -> str:
    """A safe code for what went wrong."""
    if isinstance(error, SpoolFailed):
        return error.reason
    if isinstance(error, OSError):
        return (os.strerror(error.errno) if error.errno else "os error").lower().replace(" ", "_")
    name: str | None = getattr(error, "sqlite_errorname", None)
    return (name or type(error).__name__).removeprefix("SQLITE_").lower()


def _make(folder: Path, namespace: str) -> Path:
    """A file gets its name when it is complete: readers look at whatever has one."""
    _finish_moves(folder)
    draft = folder / _DRAFT
    for suffix in ("", "-wal", "-shm"):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(connect(draft)) as db:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        if db.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
            raise SpoolFailed("no_wal")
        db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        db.execute(f"PRAGMA application_id = {_mark(namespace)}")
    path = _unused(folder)
    draft.rename(path)
    _sync(folder)
    return path


def _mark(namespace: str) -> int:
    return zlib.crc32(namespace.encode()) & 0x7FFFFFFF


def _unused(folder: Path) -> Path:
    """A name that no file had, whatever the clock says: what was moved aside must not be written over."""
    now_ms = time.time_ns() // 1_000_000
    taken = {path.name.partition(".")[0] for path in folder.glob("spool-*")}
    stamp = next(stamp for stamp in itertools.count(now_ms) if f"spool-{stamp:013d}" not in taken)
    return folder / f"spool-{stamp:013d}.sqlite3"


def _prepare(db: sqlite3.Connection, most_bytes: int) -> None:
    db.execute("PRAGMA journal_size_limit = 1048576")
    # Indexes and half-filled pages included; what is kept is counted, this is the last bound.
    db.execute(f"PRAGMA max_page_count = {max(_LEAST_PAGES, 2 * most_bytes // _PAGE)}")


def _check(db: sqlite3.Connection, namespace: str) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise SpoolFailed("written_by_a_newer_release")
    if version < VERSION or db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise _Corrupt
    check_owner(db, namespace)


class _Corrupt(sqlite3.DatabaseError):
    """What a check found, as SQLite itself would have said it."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    sqlite_errorname = "SQLITE_CORRUPT"


def place_of(path: Path) -> Place:
    """A file and what tells it from another of its name. Raises: OSError."""
    return path, path.stat().st_ino


def is_in_place(place: Place) -> bool:
    """Whether it is still the file of that name."""
    try:
        return place[0].stat().st_ino == place[1]
    except OSError:
        return False


def close(db: sqlite3.Connection) -> None:
    """Close a connection that may be broken."""
    with suppress(sqlite3.Error):
        db.close()


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
