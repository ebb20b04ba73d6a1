"""Claiming jobs, giving them back, and looking after the ones that run here.

Writes by `claim` and `release`; settling is a matter of `processors.advance`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from services.clock import boot_s
from services.processors.advance import Advanced, Held
from services.processors.contract import StartJob
from services.streams.event import Event, JobId
from services.streams.keys import JobKind, Keys, family_of, stream_of
from services.streams.log import Log
from services.streams.store import RefusedByScript, translated


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The right to run a job. `charged` counts attempts that cost of the budget, this one included.

    `prior` is the effect an earlier attempt declared, empty when there was none that started, `error` how the last
    one ended. `asked`: when the claim was sent, in seconds of the clock that goes on while the machine sleeps.
    `is_cancelled`: somebody wanted an earlier attempt stopped, which may have ended without hearing of it.
    `began` is the offset behind which nothing tells of how the job began, 0 where it began just now.
    `waits`: how many attempts only found that they have to wait, which tells nothing of those who made them.
    `near` are the newest events of the stream, up to its head then, where they are at hand.
    Times in epoch ms of the store; `expires_at` is 0 when it is not known.
    """

    token: int
    attempt: int
    charged: int
    prior: str
    error: str = ""
    expired: bool
    since: int
    due: int
    now: int
    offset: int
    expires_at: int = 0
    destination: str = ""
    is_cancelled: bool = False
    waits: int = 0
    began: int = 0
    asked: float = 0.0
    near: tuple[Event, ...] = ()


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """When the job is due again."""

    retry_at: int
    now: int


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job as stored; `cancel` when somebody wants it stopped. `incarnation` holds it while it is started."""

    kind: str
    state: str
    token: int
    incarnation: str
    cancel: bool


class Claims:
    """Claims jobs in the name of one incarnation."""

    def __init__(
        self,
        log: Log,
        incarnation: str,
        *,
        delivery_lease_s: float = 60.0,
        clock: Callable[[], float] = boot_s,
    ) -> None:
        self._log = log
        self._store = log.store
        self._keys: Keys = log.keys
        self._incarnation = incarnation
        self._clock = clock
        self._lease_ms = int(delivery_lease_s * 1000)

    def claim(self, kind: JobKind, job: JobId, *, effect: str = "") -> Claim | None:
        """Claim a due job; None when it is not to be had. Raises: Revoked, Unavailable."""
        stream = stream_of(job)
        shard = self._keys.shard(stream)
        k = self._keys
        names = [
            k.log(stream),
            k.meta(stream),
            k.due(shard, kind),
            k.op(shard, "{op}"),
            k.clock(shard),
            k.held(shard, self._incarnation),
            k.leases(shard),
            k.job(job),
            k.parked(stream),
        ]
        header: dict[str, object] = {
            "id": job,
            "kind": kind,
            "family": family_of(kind, job),
            "incarnation": self._incarnation,
            "stream": stream,
            "channel": k.tail_channel(stream),
            "effect": effect,
            "lease_ms": self._lease_ms,
        }
        asked = self._clock()
        try:
            claim = self._store.write("claim", names, header, [], Claim)
            return msgspec.structs.replace(claim, asked=asked)
        except RefusedByScript:
            return None

    def release(
        self,
        held: Held,
        *,
        error: str,
        delay_ms: int = 0,
        free: bool = False,
        waits: bool = False,
        extra: Mapping[str, object] = {},
    ) -> Released | None:
        """End an attempt without an outcome; the job is due again after `delay_ms`. None when it is not ours.

        `waits`: it was free, and only because somebody wants to be waited for. `extra` are more fields of the event
        that tells of it.
        """
        shard = self._keys.shard(held.stream)
        k = self._keys
        names = [
            k.log(held.stream),
            k.meta(held.stream),
            k.due(shard, held.kind),
            k.op(shard, "{op}"),
            k.clock(shard),
            k.held(shard, self._incarnation),
            k.job(held.id),
        ]
        header: dict[str, object] = {
            "id": held.id,
            "kind": held.kind,
            "family": family_of(held.kind, held.id),
            "token": held.token,
            "incarnation": self._incarnation,
            "stream": held.stream,
            "channel": k.tail_channel(held.stream),
            "delay_ms": delay_ms,
            "free": free,
            "waits": waits,
            "error": error,
            "extra": extra,
        }
        try:
            return self._store.write("release", names, header, [], Released)
        except RefusedByScript:
            return None

    def look(self, jobs: list[JobId]) -> dict[JobId, JobRow | None]:
        """The rows of `jobs`, in one round trip."""
        with translated():
            pipe = self._store.client.pipeline(transaction=False)
            for job in jobs:
                pipe.hmget(self._keys.job(job), "state", "token", "incarnation", "cancel", "kind")
            found = pipe.execute()
        return {job: _row(values) for job, values in zip(jobs, found, strict=True)}

    def is_ours(self, held: Held) -> bool:
        """Whether the job still waits for this holder: asked right before the first byte leaves."""
        row = self.look([held.id])[held.id]
        return row is not None and row.state == "started" and row.token == held.token and not row.cancel


def claimed_within(advanced: Advanced, job: StartJob) -> Claim:
    """The claim of a job that was claimed by the very commit that started it."""
    return Claim(
        token=1,
        attempt=1,
        charged=1,
        prior="",
        expired=False,
        since=advanced.now,
        due=advanced.now,
        now=advanced.now,
        offset=0,
        expires_at=advanced.now + job.expires_ms,
        destination=job.destination,
        asked=advanced.asked,
        near=advanced.standing.near if advanced.standing else (),
    )


def _row(values: list[bytes | None]) -> JobRow | None:
    state, token, incarnation, cancel, kind = values
    if state is None or token is None:
        return None
    return JobRow(
        kind=(kind or b"").decode(),
        state=state.decode(),
        token=int(token),
        incarnation=(incarnation or b"").decode(),
        cancel=cancel is not None,
    )
