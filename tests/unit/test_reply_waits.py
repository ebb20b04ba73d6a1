"""What keeps a reply from where it goes is told in a sentence, with when it goes on or what a person can do."""

from __future__ import annotations

import msgspec
import pytest

from services.sessions.reply_waits import reply_wait
from services.sessions.values import OutboxEntry, OutboxState

X = "slack:T1:C1:1.2"
ENTRY = OutboxEntry(
    id=f"{X}@r3",
    session=X,
    channel="slack",
    destination="slack-abc",
    address=X,
    state="queued",
    turn=2,
    attempts=2,
    since=1_000,
    next_attempt_at=None,
    ended_at=None,
    error="",
    code="",
    status=0,
    replayed_as="",
)


def entry(state: OutboxState, **changes: object) -> OutboxEntry:
    return msgspec.structs.replace(ENTRY, state=state, **changes)


@pytest.mark.parametrize(
    ("state", "error", "code"),
    [
        ("queued", "", "queued_reply"),
        ("sending", "", "sending_reply"),
        ("backing_off", "rejected", "backing_off"),
        ("backing_off", "overloaded", "rate_limited"),
        ("uncertain", "ambiguous", "uncertain"),
        ("poisoned", "poisoned", "undelivered"),
        ("gone", "gone", "undelivered"),
        ("failed", "no_such_thread", "undelivered"),
    ],
)
def test_every_state_has_its_reason(state: OutboxState, error: str, code: str) -> None:
    wait = reply_wait(entry(state, error=error, next_attempt_at=9_000, ended_at=5_000))

    assert wait is not None
    assert wait.code == code
    assert X in wait.text
    assert wait.until == (9_000 if state == "backing_off" else None)
    assert wait.since == (5_000 if code in ("uncertain", "undelivered") else 1_000)


def test_what_can_be_done_about_it_is_told() -> None:
    wait = reply_wait(entry("uncertain", error="ambiguous", ended_at=5_000))

    assert wait is not None
    assert f"`turnwright outbox --replay {ENTRY.id}`" in wait.text
    assert "--discard" in wait.text


@pytest.mark.parametrize("state", ["uncertain", "poisoned"])
def test_what_a_person_decided_about_waits_for_nobody(state: OutboxState) -> None:
    assert reply_wait(entry("discarded")) is None
    assert reply_wait(entry(state, replayed_as=f"{X}@r4")) is None
