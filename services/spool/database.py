"""The spool's SQLite file: how it is found, made, opened, and moved aside when it is corrupt. Never deleted.

A new file has a new name, because a connection to an old one deletes the journal of that name when it closes.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from services.errors import Unavailable
from services.logs import get_logger

PATTERN = "spool-*.sqlite3"
ASIDE = ".corrupt"
VERSION = 1
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


def open_or_make(folder: Path, *, most_bytes: int) -> tuple[sqlite3.Connection, Path]:
    """The file in use, or a new one, to write in. Only for who keeps others from writing meanwhile.

    Raises: sqlite3.Error, OSError, SpoolFailed.
    """
    path = current_file(folder) or _make(folder)
    db = connect(path)
    try:
        _prepare(db, most_bytes)
        _check(db)
    except BaseException:
        _close(db)
        raise
    return db, path


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
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(path.with_name(f"{path.name}{ASIDE}{suffix}"))
    _sync(path.parent)
    get_logger("spool").error("spool_moved_aside", file=f"{path.name}{ASIDE}")


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


def _make(folder: Path) -> Path:
    """A file gets its name when it is complete: readers look at whatever has one."""
    draft = folder / _DRAFT
    for suffix in ("", "-wal", "-shm"):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(connect(draft)) as db:
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        if db.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
            raise SpoolFailed("no_wal")
        db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
    path = folder / f"spool-{time.time_ns() // 1_000_000:013d}.sqlite3"
    draft.rename(path)
    _sync(folder)
    return path


def _prepare(db: sqlite3.Connection, most_bytes: int) -> None:
    db.execute("PRAGMA journal_size_limit = 1048576")
    # Indexes and half-filled pages included; what is kept is counted, this is the last bound.
    db.execute(f"PRAGMA max_page_count = {max(_LEAST_PAGES, 2 * most_bytes // _PAGE)}")


def _check(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise SpoolFailed("written_by_a_newer_release")
    if version < VERSION or db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
        raise _Corrupt


class _Corrupt(sqlite3.DatabaseError):
    """What a check found, as SQLite itself would have said it."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    sqlite_errorname = "SQLITE_CORRUPT"


def _close(db: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        db.close()


def _sync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
