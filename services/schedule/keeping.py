"""What is kept of a trigger: a week of its events, and of one that is over what it came to in the end. Pure."""

from __future__ import annotations

import msgspec

from services.processors.contract import Emit
from services.schedule.state import TriggerState
from services.schedule.step import emit
from services.streams.schedule_events import TriggerCondensed, TriggerRemoved

KEEP_EVERY_MS = 86_400_000
KEPT_MS = 7 * 86_400_000


def goes_at(state: TriggerState) -> int | None:
    """When something is let go of without being asked: a single time a week after it was done; a week after a trigger
    was removed it is written down, and another week later what was before that goes."""
    if state.definition is None:
        is_left = not state.spans and len(state.kept) < 2
        return state.kept_at + KEPT_MS if is_left and state.kept_at else None
    is_done = 0 < state.definition.at <= state.after and not state.open and len(state.spans) == 1
    if not is_done or state.origin == "config" or state.definition.paused:
        return None
    return max(state.after, state.spans[-1].since) + KEPT_MS


def let_go(state: TriggerState, now: int) -> Emit | None:
    """What `goes_at` tells of, once it is time."""
    at = goes_at(state)
    if at is None or at > now:
        return None
    if state.definition is None:
        return _condensed(state, now)
    return emit("trigger.removed", TriggerRemoved(by="schedule", definition=state.spans[-1].definition))


def keep(state: TriggerState, now: int) -> Emit | None:
    """Once a day all that is known is written down anew, so that what is older than a week can go."""
    is_plain = len(state.spans) == 1 and not state.spans[0].until
    return _condensed(state, now) if is_plain and now >= state.kept_at + KEEP_EVERY_MS else None


def _condensed(state: TriggerState, now: int) -> Emit:
    trims = max((offset for offset, at in state.kept if at <= now - KEPT_MS), default=0)
    return emit(
        "trigger.condensed", TriggerCondensed(state=msgspec.Raw(msgspec.json.encode(state)), trims=trims)
    )
