"""Triggers and their ticks as people see them: rows, times in the trigger's zone, reasons in words."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from deploy.cli import output
from services.cron.times import BadTimes, zone_of
from services.sessions.trigger_values import TickView, TriggerView

_REASONS = {
    "misfire": "missed while nothing ran; its misfire policy passes it over",
    "paused": "the trigger was paused",
    "parked": "the trigger could not be read",
    "overlap": "the one before it was not answered yet",
    "removed": "the trigger was removed",
    "late": "too late: outside the catch-up window",
    "too_many": "too many ticks wait already",
    "nobody_looked_yet": "no worker has looked at it yet",
    "waits_for_the_one_before": "waits until the one before it is answered",
    "attempts_exhausted": "tried too often",
    "session_has_another_agent": "its session belongs to another agent",
    "no_such_agent": "no worker knows its agent",
    "prompt_can_not_be_filled_in": "its prompt can not be filled in",
    "definition_gone": "its definition is gone",
}


def show_trigger(found: TriggerView) -> None:
    """Print a trigger, line by line."""
    output.say(f"{found.id}: {found.status}{f', {found.reason}' if found.reason else ''}")
    if found.definition is None:
        return
    zone = zone_of_trigger(found)
    if found.next is not None:
        output.say(f"next: {local(found.next, zone)}")
    output.say(f"declared in: {'[[triggers]]' if found.origin == 'config' else 'the API'}")
    for name, value in msgspec.structs.asdict(found.definition).items():
        if name == "at" and value is not None:
            value = local(value, zone)
        if value is not None:
            output.say(f"{name}: {value}")


def trigger_row(one: TriggerView) -> tuple[str, ...]:
    """One line of a list: id, status, when, zone, next, open ticks."""
    definition = one.definition
    zone = zone_of_trigger(one)
    when = "" if definition is None else definition.cron or local(definition.at or 0, zone)
    due = "" if one.next is None else local(one.next, zone)
    name = definition.tz if definition else ""
    return (one.id, one.status, when, name, due or one.reason, str(one.open) if one.open else "")


def zone_of_trigger(one: TriggerView) -> ZoneInfo | None:
    """The zone its times are shown in; None, this machine's, where it is not known here."""
    try:
        return zone_of(one.definition.tz) if one.definition else None
    except BadTimes:
        return None


def tick_row(tick: TickView, zone: ZoneInfo | None) -> tuple[str, ...]:
    """One line of the ledger: due, state, recorded, claimed, dispatched, and why or where."""
    times = (tick.recorded_at, tick.claimed_at, tick.dispatched_at)
    shown = (_clock(at, zone) if at is not None else "" for at in times)
    return (local(tick.due, zone), tick.state, *shown, words_of(tick, zone))


def local(at_ms: int, zone: ZoneInfo | None) -> str:
    """A time of the trigger's zone, to the minute."""
    return f"{datetime.fromtimestamp(at_ms / 1000, zone).astimezone(zone):%Y-%m-%d %H:%M %z}"


def _clock(at_ms: int, zone: ZoneInfo | None) -> str:
    local = datetime.fromtimestamp(at_ms / 1000, zone)
    return f"{local:%H:%M:%S}.{local.microsecond // 1000:03d}"


def words_of(tick: TickView, zone: ZoneInfo | None) -> str:
    """Where a tick is, or why it is not."""
    why = _REASONS.get(tick.reason, tick.reason.replace("_", " "))
    if tick.reason == "paused" and tick.session:
        why = "its session is paused"
    match tick.state:
        case "due" if not why:
            is_own = tick.session.endswith(tick.tick)
            return "queued for a worker" if is_own else "queued behind the earlier ones for its session"
        case "dispatched":
            return (
                f"{tick.session}@{tick.offset}{f': {tick.outcome}' if tick.outcome else ', not answered yet'}"
            )
        case "released":
            return f"{why}; attempt {tick.attempts}, next at {_clock(tick.retry_at or 0, zone)}"
        case _:
            return why
