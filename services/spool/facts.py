"""What people and machines are told of a host's spool: how much waits, since when, what was refused, what is broken."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import msgspec

from services.spool.database import SpoolFailed, check_owner, connect, corrupt_files, current_file, reason_of
from services.telemetry.counters import Gauge


class SpoolFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a spool now. `oldest_s` is how long the first of those that wait has waited.

    `free` are the bytes that its disk has left.
    """

    file: str = ""
    waiting: int = 0
    streams: int = 0
    bytes: int = 0
    oldest_s: float = 0.0
    free: int = 0
    rejected: dict[str, int] = msgspec.field(default_factory=dict)
    corrupt: tuple[str, ...] = ()


def read_facts(folder: Path, *, namespace: str = "turnwright") -> SpoolFacts:
    """Look at the spool in `folder`, from any process; nothing is changed. Raises: SpoolFailed."""
    try:
        corrupt = tuple(str(path) for path in corrupt_files(folder))
        path = current_file(folder)
        if path is None:
            return SpoolFacts(corrupt=corrupt, free=_free(folder))
        with closing(connect(path, is_reader=True)) as db:
            check_owner(db, namespace)
            waiting, streams = db.execute("SELECT count(*), count(DISTINCT stream) FROM waiting").fetchone()
            first = db.execute("SELECT received_ms FROM waiting ORDER BY seq LIMIT 1").fetchone()
            size = db.execute("SELECT bytes FROM held").fetchone()[0]
            rejected = dict(db.execute("SELECT reason, count(*) FROM rejected GROUP BY reason"))
    except (OSError, sqlite3.Error) as error:
        raise SpoolFailed(reason_of(error)) from error
    # A clock that was set back makes nothing younger than nothing.
    oldest_s = max(0.0, time.time() - first[0] / 1000) if first else 0.0
    return SpoolFacts(
        file=str(path),
        waiting=waiting,
        streams=streams,
        bytes=size,
        oldest_s=oldest_s,
        free=_free(folder),
        rejected=rejected,
        corrupt=corrupt,
    )


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except FileNotFoundError:
        return _free(folder.parent)


def spool_gauges(folder: Path, *, namespace: str = "turnwright") -> list[Gauge]:
    """The spool of this host as metrics; nothing but `turnwright_spool_works` 0 where it can not be read."""
    here = {"host": socket.gethostname()}
    try:
        facts = read_facts(folder, namespace=namespace)
    except SpoolFailed:
        return [Gauge("turnwright_spool_works", "Whether a host's spool can be read.", [(here, 0)])]
    return [
        Gauge("turnwright_spool_works", "Whether a host's spool can be read.", [(here, 1)]),
        Gauge(
            "turnwright_spool_waiting", "Webhooks that wait on a host for the store.", [(here, facts.waiting)]
        ),
        Gauge(
            "turnwright_spool_oldest_seconds",
            "How long the first of a host's webhooks has waited.",
            [(here, facts.oldest_s)],
        ),
        Gauge(
            "turnwright_spool_rejected",
            "Webhooks on a host that the store refused for good.",
            [(here, sum(facts.rejected.values()))],
        ),
        Gauge("turnwright_spool_bytes", "What a host's spool holds.", [(here, facts.bytes)]),
        Gauge(
            "turnwright_spool_corrupt_files",
            "Files of a host's spool that were moved aside.",
            [(here, len(facts.corrupt))],
        ),
    ]
