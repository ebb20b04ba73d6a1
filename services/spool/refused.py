"""The webhooks on this host that the log refused for good: what a person may see of them, and decide.

They were acknowledged, so nothing but a person's word takes one away.
"""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Sequence
from typing import Literal

import msgspec

from services.errors import NotFound
from services.logs import get_logger
from services.spool.entry import input_of
from services.spool.facts import read_facts
from services.spool.file import SpoolFile
from services.spool_settings import SpoolSettings
from services.telemetry.counters import Counters

REFUSED_ID = "[0-9]{13}\\.[1-9][0-9]{0,14}"
ALL = "all"
_COLUMNS = "seq, stream, key, reason, received_ms, rejected_ms, size"


class Refused(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One webhook that was acknowledged here and that the log refused: `reason` says why. Epoch milliseconds.

    `body` is the JSON that was to be appended, where it was asked for and can be read.
    """

    id: str
    stream: str
    key: str
    reason: str
    received_at: int
    refused_at: int
    size: int
    body: str = ""


class SpoolPage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The spool of `host`: what waits there for the log, and what the log refused, oldest first.

    `off` says why there is none.
    """

    host: str
    off: str = ""
    waiting: int = 0
    streams: int = 0
    oldest_s: float = 0.0
    refused: tuple[Refused, ...] = ()
    cursor: str | None = None


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """How many refused webhooks a decision was about; 0 where there were none of that id any more."""

    changed: int


class RefusedWebhooks:
    """Reads and changes what the `file` of this host's spool holds of them."""

    def __init__(self, settings: SpoolSettings, file: SpoolFile | None, counters: Counters) -> None:
        self._off, self._file, self._counters = settings.off, file, counters
        self._logger = get_logger("spool")

    def page(self, *, after: str | None = None, limit: int = 50) -> SpoolPage:
        """What there is. Raises: SpoolFailed."""
        host = socket.gethostname()
        if self._file is None:
            return SpoolPage(host=host, off=self._off)
        facts = read_facts(self._file.folder, namespace=self._file.namespace)
        rows = self._rows("seq > ?", (_seq(after) if after else 0,), limit + 1)
        return SpoolPage(
            host=host,
            waiting=facts.waiting,
            streams=facts.streams,
            oldest_s=facts.oldest_s,
            refused=tuple(rows[:limit]),
            cursor=rows[limit - 1].id if len(rows) > limit else None,
        )

    def show(self, id: str) -> Refused:
        """One with its body. Raises: NotFound, SpoolFailed."""
        found = self._rows("seq = ?", (_seq(id),), 1) if self._file and id != ALL else []
        if not found or found[0].id != id:
            raise NotFound(f"refused webhook {id}")
        return msgspec.structs.replace(found[0], body=self._body(_seq(id)))

    def retry(self, id: str) -> Decided:
        """Let one, or `ALL`, wait for the log again, behind what waits already. Raises: SpoolFailed."""
        return self._decide(id, "retried")

    def discard(self, id: str) -> Decided:
        """Take one, or `ALL`, away for good. Raises: SpoolFailed."""
        return self._decide(id, "discarded")

    def _decide(self, id: str, verb: Literal["retried", "discarded"]) -> Decided:
        if self._file is None:
            return Decided(changed=0)
        with self._file.transaction() as db:
            stamp = _stamp(db)
            if id != ALL and id.partition(".")[0] != stamp:
                return Decided(changed=0)
            which, values = ("", ()) if id == ALL else (" WHERE seq = ?", (_seq(id),))
            if verb == "retried":
                # The same webhook may have come again and wait by itself.
                db.execute(
                    "INSERT OR IGNORE INTO waiting (stream, key, event, beginning, received_ms, size, answer_at)"
                    f" SELECT stream, key, event, beginning, received_ms, size, '' FROM rejected{which}"
                    " ORDER BY seq",
                    values,
                )
            changed = db.execute(f"DELETE FROM rejected{which}", values).rowcount
        if changed:
            self._counters.add("turnwright_spool_total", verb, by=changed)
            self._logger.warning(f"spool_{verb}", rows=changed, id=id)
        return Decided(changed=changed)

    def _rows(self, where: str, values: Sequence[int], limit: int) -> list[Refused]:
        assert self._file is not None
        with self._file.reading() as db:
            if db is None:
                return []
            stamp = _stamp(db)
            found = db.execute(
                f"SELECT {_COLUMNS} FROM rejected WHERE {where} ORDER BY seq LIMIT {limit}", values
            ).fetchall()
        return [_refused(stamp, *row) for row in found]

    def _body(self, seq: int) -> str:
        assert self._file is not None
        with self._file.reading() as db:
            found = db and db.execute("SELECT event FROM rejected WHERE seq = ?", (seq,)).fetchone()
        try:
            return bytes(input_of(found[0]).payload).decode() if found else ""
        except (msgspec.DecodeError, UnicodeDecodeError):
            return ""


def _refused(stamp: str, seq: int, *facts: str | int) -> Refused:
    stream, key, reason, received_ms, rejected_ms, size = facts
    return Refused(
        id=f"{stamp}.{seq}",
        stream=str(stream),
        key=str(key),
        reason=str(reason),
        received_at=int(received_ms),
        refused_at=int(rejected_ms),
        size=int(size),
    )


def _seq(id: str) -> int:
    return int(id.partition(".")[2])


def _stamp(db: sqlite3.Connection) -> str:
    """Whose numbers these are: a file that takes the place of a corrupt one begins with 1 again."""
    _, _, path = db.execute("PRAGMA database_list").fetchone()
    return str(path).rpartition("spool-")[2].partition(".")[0]
