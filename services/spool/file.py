"""What the spool's file holds, for one process of several: who waits in which order, and what was refused.

Writers of all processes take turns at a lock; a commit is on the disk when it returns. Writes files in its folder.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from services.spool.database import (
    Place,
    SpoolFailed,
    check_owner,
    close,
    connect,
    current_file,
    is_corrupt,
    is_in_place,
    make_folder,
    move_aside,
    open_or_make,
    place_of,
    reason_of,
)
from services.spool.entry import Entry, stored
from services.spool.gate import FileLock
from services.streams.event import StreamId

# A disk that is busy may need so long for somebody else's commit.
TURN_S = 1.0
BATCH_ROWS = 64
# Together they stay below what one call of the log store takes without laying bodies beside the log.
BATCH_BYTES = 256 * 1024
# What is taken away is overwritten in the journal first, so a drained disk has to hold the largest row once more.
LEAST_FREE = 32 * 1024 * 1024
# So many pages are given back at a time: meanwhile nobody else can write.
VACUUM_PAGES = 2048

Kept = Literal["new", "known", "full"]
Opened = tuple[sqlite3.Connection, Place]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One entry that waits. `entry` None: it can not be read."""

    seq: int
    entry: Entry | None


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """So much the file holds at most, refused rows included, and so much of its disk it leaves free."""

    rows: int = 50_000
    bytes: int = 256 * 1024 * 1024
    free: int = LEAST_FREE


class SpoolFile:
    """The file of an installation's `namespace` in `folder`. Thread-safe; for use after a fork.

    One that turns out to be corrupt is moved aside and `SpoolFailed("corrupt")` raised; the next call begins
    a new one.
    """

    def __init__(self, folder: Path, bounds: Bounds | None = None, *, namespace: str = "turnwright") -> None:
        self.folder, self.namespace, self._bounds = folder, namespace, bounds or Bounds()
        self._turn = FileLock(folder / "writing")
        self._writing, self._reading = threading.Lock(), threading.Lock()
        self._writer: Opened | None = None
        self._reader: Opened | None = None

    def add(self, entries: Sequence[Entry]) -> list[Kept]:
        """Keep entries in order, all in one commit; "known" is what was waiting before. Raises: SpoolFailed."""
        with self.transaction() as db:
            rows, size = db.execute("SELECT rows, bytes FROM held").fetchone()
            room = self._room()
            found: list[Kept] = []
            for entry in entries:
                documents = entry.event.encode(), entry.beginning.encode()
                more = sum(map(len, documents))
                known = db.execute(
                    "SELECT 1 FROM waiting WHERE stream = ? AND key = ?", (entry.stream, entry.key)
                ).fetchone()
                if known:
                    found.append("known")
                elif rows >= self._bounds.rows or size + more > self._bounds.bytes or room < 2 * more:
                    found.append("full")
                else:
                    db.execute(
                        "INSERT INTO waiting (stream, key, event, beginning, received_ms, size, answer_at)"
                        " VALUES (?, ?, ?, ?, ?, ?, ?)",
                        (entry.stream, entry.key, *documents, entry.received_ms, more, entry.answer_at),
                    )
                    # First in the journal, then in the file.
                    rows, size, room = rows + 1, size + more, room - 2 * more
                    found.append("new")
        return found

    def holds(self, stream: StreamId) -> bool:
        """Whether entries of `stream` wait. Raises: SpoolFailed."""
        with self.reading() as db:
            if db is None:
                return False
            return (
                db.execute("SELECT 1 FROM waiting WHERE stream = ? LIMIT 1", (stream,)).fetchone() is not None
            )

    def has_room(self) -> bool:
        """Whether entries fit, on the disk too. Raises: SpoolFailed."""
        with self.reading() as db:
            if db is None:
                return False
            rows, size = db.execute("SELECT rows, bytes FROM held").fetchone()
            room = self._room()
        return bool(rows < self._bounds.rows and size < self._bounds.bytes and room > 0)

    def _room(self) -> int:
        return shutil.disk_usage(self.folder).free - self._bounds.free

    def is_there(self) -> bool:
        """Whether there is a file. Raises: OSError."""
        return current_file(self.folder) is not None

    def oldest(self) -> list[Row]:
        """The entry that waits longest and those behind it in its stream, in order, as many as go together.

        Raises: SpoolFailed.
        """
        with self.reading() as db:
            first = db and db.execute("SELECT stream FROM waiting ORDER BY seq LIMIT 1").fetchone()
            if db is None or not first:
                return []
            rows: list[Row] = []
            room = BATCH_BYTES
            for seq, size, *facts in db.execute(
                "SELECT seq, size, stream, event, beginning, received_ms, answer_at FROM waiting"
                f" WHERE stream = ? ORDER BY seq LIMIT {BATCH_ROWS}",
                first,
            ):
                room -= size
                if rows and room < 0:
                    break
                rows.append(Row(seq=seq, entry=stored(*facts)))
        return rows

    def remove(self, rows: Sequence[Row]) -> None:
        """These are where they belong. Raises: SpoolFailed."""
        with self.transaction() as db:
            db.executemany("DELETE FROM waiting WHERE seq = ?", [(row.seq,) for row in rows])

    def reject(self, row: Row, reason: str) -> None:
        """Put a row aside that nobody will ever take; what is behind it goes on. Raises: SpoolFailed."""
        with self.transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO rejected SELECT seq, stream, key, event, beginning, received_ms, size, ?, ?"
                " FROM waiting WHERE seq = ?",
                (reason, time.time_ns() // 1_000_000, row.seq),
            )
            db.execute("DELETE FROM waiting WHERE seq = ?", (row.seq,))

    def shrink(self) -> None:
        """Give the disk back what an empty spool does not need. Raises: SpoolFailed."""
        while self._vacuum():
            pass
        with self._turn_taken() as opened, self._translated(opened):
            opened[0].execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _vacuum(self) -> bool:
        """Give some pages back; whether there are more that can be."""
        with self._turn_taken() as opened, self._translated(opened):
            db = opened[0]
            (before,) = db.execute("PRAGMA freelist_count").fetchone()
            # A step gives back one page, and only a script is stepped to its end.
            db.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
            (left,) = db.execute("PRAGMA freelist_count").fetchone()
        return bool(0 < left < before)

    def prepare(self) -> None:
        """Make or check the file, so that what is wrong is known before it is needed. Raises: SpoolFailed."""
        with self._turn_taken():
            pass

    def close(self) -> None:
        """Close this process's connections."""
        with suppress(SpoolFailed), self._turn_taken():
            self._close_all()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The one writer of this host; on the disk when it is left without an error. Raises: SpoolFailed."""
        with self._turn_taken() as opened, self._translated(opened):
            db = opened[0]
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    with suppress(sqlite3.Error):
                        db.execute("ROLLBACK")
                raise

    @contextmanager
    def _turn_taken(self) -> Iterator[Opened]:
        """The one writer of this host, with the file in use open."""
        if not self._writing.acquire(timeout=TURN_S):
            raise SpoolFailed("busy")
        try:
            make_folder(self.folder)
            with self._turn.held(within_s=TURN_S) as is_ours:
                if not is_ours:
                    raise SpoolFailed("busy")
                yield self._open_writer()
        except (OSError, sqlite3.Error) as error:
            raise SpoolFailed(reason_of(error)) from error
        finally:
            self._writing.release()

    def _open_writer(self) -> Opened:
        if self._writer is not None and is_in_place(self._writer[1]):
            return self._writer
        self._close_all()
        try:
            db, path = open_or_make(self.folder, most_bytes=self._bounds.bytes, namespace=self.namespace)
        except sqlite3.Error as error:
            if is_corrupt(error) and (path_now := current_file(self.folder)) is not None:
                move_aside(path_now)
            raise
        self._writer = db, place_of(path)
        return self._writer

    @contextmanager
    def _translated(self, opened: Opened) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            # After an error of the disk a connection is not to be trusted.
            self._close_all()
            if is_corrupt(error) and is_in_place(opened[1]):
                move_aside(opened[1][0])
            raise SpoolFailed(reason_of(error)) from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection | None]:
        """A reader, one at a time in this process; None before there is a file. Raises: SpoolFailed."""
        try:
            with self._reading:
                yield self._open_reader()
        except (OSError, sqlite3.Error) as error:
            if is_corrupt(error):
                self._look_at_it()
            raise SpoolFailed(reason_of(error)) from error

    def _open_reader(self) -> sqlite3.Connection | None:
        if self._reader is not None:
            if is_in_place(self._reader[1]):
                return self._reader[0]
            close(self._reader[0])
            self._reader = None
        path = current_file(self.folder)
        if path is None:
            return None
        place, reader = place_of(path), connect(path, is_reader=True)
        try:
            check_owner(reader, self.namespace)
        except BaseException:
            close(reader)
            raise
        self._reader = reader, place
        return reader

    def _look_at_it(self) -> None:
        """A reader must not move what a writer uses: let a writer find what is corrupt."""
        with suppress(SpoolFailed), self._turn_taken():
            self._close_all()
            self._open_writer()

    def _close_all(self) -> None:
        if self._writer is not None:
            close(self._writer[0])
        self._writer = None
        with self._reading:
            if self._reader is not None:
                close(self._reader[0])
            self._reader = None
