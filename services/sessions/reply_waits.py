"""What keeps the replies of a session from where they go, in the words that tell what the session itself waits for.

A session whose reply waits is not kept from anything by it, so these are told beside its own wait reason.
"""

from __future__ import annotations

from services.diagnosis.wait import WaitReason
from services.sessions.values import OutboxEntry


def reply_wait(entry: OutboxEntry) -> WaitReason | None:
    """Why it is not delivered; None for one that nobody wants delivered any more, or by another entry."""
    reply = f"reply {entry.id} to {entry.address or entry.channel}"
    detail = f"{entry.error} ({entry.code})" if entry.code else entry.error
    match entry.state:
        case "queued":
            return WaitReason(code="queued_reply", text=f"{reply} waits for its turn", since=entry.since)
        case "sending":
            text = f"{reply} is being sent, attempt {entry.attempts}"
            return WaitReason(code="sending_reply", text=text, since=entry.since)
        case "backing_off":
            return _backing_off(entry, reply, detail)
        case _ if entry.state == "discarded" or entry.replayed_as:
            return None
        case "uncertain":
            text = (
                f"{reply} may have arrived, and nobody can tell; `turnwright outbox --replay {entry.id}` looks for it"
                " before it is sent again, --discard leaves it at that"
            )
            return WaitReason(code="uncertain", text=text, since=entry.ended_at)
        case _:
            text = (
                f"{reply} was not delivered: {detail}; `turnwright outbox --replay {entry.id}` sends it again,"
                " --discard leaves it at that"
            )
            return WaitReason(code="undelivered", text=text, since=entry.ended_at)


def _backing_off(entry: OutboxEntry, reply: str, detail: str) -> WaitReason:
    if entry.error == "overloaded":
        text = f"{reply}: {entry.channel} wants it later"
        return WaitReason(code="rate_limited", text=text, since=entry.since, until=entry.next_attempt_at)
    text = f"{reply}: attempt {entry.attempts} ended: {detail}; trying again"
    return WaitReason(code="backing_off", text=text, since=entry.since, until=entry.next_attempt_at)
