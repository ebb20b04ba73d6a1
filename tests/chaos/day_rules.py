"""What the policies of a trigger allow: for each due time of a simulated day, why what was said of it may be so."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.chaos.day_case import Account, Case, Tick, Time

# What comes later counts as missed where missed ticks are skipped.
GRACE_MS = 60_000


def broken_policies(case: Case) -> Iterator[str]:
    """Each due time that was done, or not done, against what its trigger says."""
    for due, time in case.expected.items():
        for account in case.accounts.get(due, ()):
            why = (
                _done_wrongly(case, time, due, account)
                if account.tick
                else _passed_wrongly(case, time, due, account)
            )
            if why:
                yield f"{due} was {account.said} {account.reason} at offset {account.offset}: {why}"
    for tick in case.ticks.values():
        why = _ended_wrongly(case, tick)
        if why:
            yield f"{tick.name} {why}"
    yield from _in_the_way(case)


def _done_wrongly(case: Case, time: Time, due: int, account: Account) -> str:
    seen = case.course.first_seen(due, by=account.at)
    body = time.body
    if account.at + case.course.went_back(by=account.at) < due:
        return f"it was not due before {due - account.at} ms later"
    if body["paused"]:
        return "the trigger was paused"
    match body["misfire"]:
        case "skip" if seen > due + GRACE_MS:
            return f"it was missed by {seen - due} ms"
        case "latest" if any(due < other <= min(seen, time.until or seen) for other in time.due(seen)):
            return "it was not the latest"
        case "latest" | "all" if seen >= due + body["catch_up_s"] * 1000:
            return f"it was outside the window by {seen - due - body['catch_up_s'] * 1000} ms"
    return ""


def _passed_wrongly(case: Case, time: Time, due: int, account: Account) -> str:
    body, late = time.body, account.at + case.course.went_back(by=account.at) - due
    match account.said, account.reason:
        case "ticks.skipped", "paused":
            return "" if body["paused"] else "the trigger was not paused"
        case "ticks.skipped", "removed":
            return "" if _is_removed(case, account.offset) else "the trigger was not removed"
        case "ticks.skipped", "misfire" if body["misfire"] == "skip":
            return "" if late > GRACE_MS else f"it was seen {late} ms after"
        case "ticks.skipped", "misfire" if body["misfire"] == "latest":
            later = [other for other in case.expected if due < other and case.expected[other] is time]
            followers = [
                one for other in later for one in case.accounts.get(other, ()) if one.at == account.at
            ]
            return "" if any(one.reason != "misfire" for one in followers) else "nothing later was done"
        case "ticks.skipped", "overlap":
            return "" if body["overlap"] == "skip" and _was_busy(case, account.offset) else "nothing was open"
        case "ticks.expired", "late" if body["misfire"] != "skip":
            return "" if late >= body["catch_up_s"] * 1000 else f"it was seen {late} ms after"
    return "the policy has no such reason"


def _ended_wrongly(case: Case, tick: Tick) -> str:
    if len(tick.ends) != 1:
        return f"ended {len(tick.ends)} times: {[one.type for one in tick.ends]}"
    end, time = tick.ends[0], case.time_of(tick.definition)
    reason = end.payload.get("reason", "")
    match end.type:
        case "tick.dispatched":
            if len(tick.settled) != 1:
                return f"was settled {len(tick.settled)} times"
            outcome = tick.settled[0].payload["outcome"]
            return "" if outcome == "answered" else f"came to {outcome}"
        case "tick.skipped" if reason == "removed":
            return "" if _is_removed(case, end.offset) else "was skipped, as if its trigger were removed"
        case "tick.expired":
            late = end.created_at + case.course.went_back(by=end.created_at) - tick.due
            return "" if late >= time.body["catch_up_s"] * 1000 else f"expired {late} ms after it was due"
    return f"came to {end.type} {reason}"


def _in_the_way(case: Case) -> Iterator[str]:
    """Of a trigger that does not allow it, no two ticks are on their way or unanswered at once."""
    left = sorted((one for one in case.ticks.values() if one.left), key=lambda one: one.left)
    for before, after in pairwise(left):
        if case.time_of(after.left).body["overlap"] != "allow" and before.over > after.left:
            yield f"{after.name} left at offset {after.left}, before {before.name} was over at {before.over}"
        is_planned = not (before.is_manual or after.is_manual)
        if is_planned and case.time_of(after.left).body["overlap"] != "allow" and before.due > after.due:
            yield f"{after.name} left after {before.name}"
    for event in case.events:
        is_fired = event.type == "tick.skipped" and event.payload["tick"] not in case.ticks
        if is_fired and event.payload["reason"] == "overlap" and not _was_busy(case, event.offset):
            yield f"{event.payload['tick']} was skipped although nothing was open"


def _was_busy(case: Case, offset: int) -> bool:
    """Whether a tick was open for all that whoever wrote there may have known."""
    read = case.decided_before(offset)
    return any(one.queued.offset < offset and one.over > read for one in case.ticks.values())


def _is_removed(case: Case, offset: int) -> bool:
    return any(one.type == "trigger.removed" and one.offset < offset for one in case.events)
