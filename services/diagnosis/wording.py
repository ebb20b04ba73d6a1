"""Why a session waits, as one sentence: the same wherever people read it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from services.diagnosis.wait import WaitReason


def utc(at_ms: int) -> str:
    """A time of day with its date, for readers of whom no zone is known."""
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def why_text(status: str, wait: WaitReason | None, *, clock: Callable[[int], str] = utc) -> str:
    """The sentence for a session in `status`, times as `clock` says them; without a reason the status alone."""
    if wait is None:
        return status
    since = f", since {clock(wait.since)}" if wait.since else ""
    until = f", until {clock(wait.until)}" if wait.until else ""
    # Most reasons begin with the status: saying it twice helps nobody.
    named = wait.text if wait.text.startswith(status) else f"{status}: {wait.text}"
    return f"{named}{since}{until}"
