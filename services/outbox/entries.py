"""The open entries of one session's outbox, as its processor remembers them: numbers and digests, no addresses.

Entry `n` of a session is the job `<session>@r<n>`. Pure.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence

import msgspec

from services.processors.contract import Decision, Emit, SettleJob, StartJob
from services.streams.event import EventInput, JobId, StreamId
from services.streams.payload import Payload
from services.streams.vocabulary import ReplyQueued, ReplySettled

# From queueing to giving up, whatever the attempts; the attempts themselves end much sooner.
EXPIRES_MS = 3 * 86_400_000
GONE_KEPT = 100
CALLBACK = "http"
# What somebody sent who died meanwhile has shown up by then where letters are looked for before they are repeated.
LOOKED_FOR_MS = 5_000


class Open(msgspec.Struct, frozen=True, array_like=True):
    """One that is not settled. `attempts` counts its claims; `is_running`: the last one has not ended."""

    destination: str
    attempts: int = 0
    is_running: bool = False
    is_status: bool = False


class Entries(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Entries by number; `last` is the newest ever. `gone`: destinations that want nothing more."""

    last: int = 0
    open: dict[int, Open] = {}
    gone: tuple[str, ...] = ()


def entry_id(stream: StreamId, n: int) -> JobId:
    """The job that delivers entry `n`."""
    return JobId(f"{stream}@r{n}")


def number_of(job: str) -> int:
    """The number of an entry; 0 for what is none."""
    name = job.rpartition("@")[2]
    return int(name[1:]) if name[:1] == "r" and name[1:].isdecimal() else 0


def destination_of(channel: str, address: str) -> str:
    """What a session calls a destination: its channel, unless that is HTTP, and a digest of the address."""
    digest = digest_of(channel, address)
    return digest if channel == CALLBACK else f"{channel}-{digest}"


def channel_of(destination: str) -> str:
    """The channel that leads to a destination."""
    channel, _, digest = destination.rpartition("-")
    return channel if digest and channel else CALLBACK


def digest_of(channel: str, address: str) -> str:
    """What stands for an address. 50 bits: two that were confused would only wait for each other."""
    digest = hashlib.sha256(f"{channel}\n{address}".encode()).digest()
    return base64.b32encode(digest)[:10].decode().lower()


def with_entry(entries: Entries, n: int, entry: Open | None) -> Entries:
    """With `n` as it is now; None once it is settled."""
    rest = {number: one for number, one in entries.open.items() if number != n}
    changed = rest if entry is None else {**rest, n: entry}
    return msgspec.structs.replace(entries, open=changed, last=max(entries.last, n))


def queue(entries: Entries, stream: StreamId, queued: ReplyQueued) -> Sequence[Decision]:
    """Owe a delivery. It takes the place of unsent status lines to the same destination; one that nobody is at any
    more fails at once."""
    job = JobId(queued.job)
    if queued.destination in entries.gone:
        return unqueued(queued, "gone")
    return (
        *(
            one
            for n in _unsent_status(entries, queued.destination)
            for one in end(entries, stream, n, "superseded")
        ),
        _emit("reply.queued", queued),
        StartJob(
            kind="deliver",
            id=job,
            destination=queued.destination,
            settle_ms=0 if queued.channel == CALLBACK else LOOKED_FOR_MS,
            expires_ms=EXPIRES_MS,
        ),
    )


def unqueued(queued: ReplyQueued, error: str) -> Sequence[Decision]:
    """Owe a delivery that fails at once."""
    return (_emit("reply.queued", queued), _emit("reply.failed", ReplySettled(job=queued.job, error=error)))


def end(
    entries: Entries, stream: StreamId, n: int, error: str, *, is_letter: bool = False
) -> Sequence[Decision]:
    """End an entry that is not running, undelivered."""
    job, entry = entry_id(stream, n), entries.open[n]
    return (
        SettleJob(
            kind="deliver",
            id=job,
            token=entry.attempts,
            destination=entry.destination,
            is_letter=is_letter,
        ),
        _emit("reply.failed", ReplySettled(job=job, error=error)),
    )


def _unsent_status(entries: Entries, destination: str) -> list[int]:
    return [
        n
        for n, one in entries.open.items()
        if one.is_status and not one.attempts and one.destination == destination
    ]


def _emit(type: str, payload: Payload) -> Emit:
    return Emit(EventInput.of(type, payload))
