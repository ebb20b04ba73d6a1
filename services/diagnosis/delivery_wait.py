"""Why a delivery that a session is owed has not got there yet. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.diagnosis.wait import WaitReason

_PAUSED = "paused"


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """The job that takes a delivery to its session.

    `error` is how its last attempt ended. `is_first`: nothing to the same session comes before it. Epoch ms.
    """

    state: str
    attempts: int = 0
    error: str = ""
    since: int = 0
    due: int = 0
    is_first: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it has no outcome."""
        return self.state in ("requested", "started")


def owed_of(row: Sequence[bytes | None], is_first: bool) -> Owed:
    """From the fields state, attempts, error, since, due of a job's row."""
    state, attempts, error, since, due = ((each or b"").decode() for each in row)
    return Owed(
        state=state,
        attempts=int(attempts or 0),
        error=error,
        since=int(since or 0),
        due=int(due or 0),
        is_first=is_first,
    )


def why_owed(owed: Owed, session: str, *, now: int, workers: int) -> WaitReason:
    """The one reason. `now` is the store's time, `workers` counts those that are alive."""
    since = owed.since or None
    if owed.state == "started":
        return WaitReason(code="running", text=f"running attempt {owed.attempts}", since=since)
    if not owed.is_first:
        return WaitReason(code="behind", text=f"waits behind an earlier delivery to {session}", since=since)
    if owed.error == _PAUSED:
        text = f"session {session} is paused; `turnwright resume {session}` lets it in"
        return WaitReason(code="paused", text=text, since=since, until=owed.due)
    if owed.error and owed.due > now:
        text = f"attempt {owed.attempts} ended: {owed.error}; trying again"
        return WaitReason(code="backing_off", text=text, since=since, until=owed.due)
    if not workers:
        return WaitReason(code="no_worker", text="no worker is running", since=since)
    return WaitReason(code="queued", text="queued for a worker", since=since)
