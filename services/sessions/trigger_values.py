"""What people are told about triggers and their ticks, as it goes out in JSON. Times are epoch milliseconds."""

from __future__ import annotations

from typing import Literal

from services.sessions.values import Value
from services.streams.schedule_events import Definition, Misfire, Origin, Overlap, Sessions

TriggerStatus = Literal["active", "paused", "parked", "done", "removed"]
TickState = Literal["due", "claimed", "dispatched", "released", "burned", "skipped", "expired"]


class TriggerDefinition(Value, frozen=True, kw_only=True):
    """What a trigger does, as it is given to define one; None for what is not said."""

    prompt: str
    agent: str
    cron: str | None
    at: int | None
    tz: str
    session: Sessions
    answer_in: str | None
    misfire: Misfire
    catch_up_s: int
    overlap: Overlap
    paused: bool

    @classmethod
    def of(cls, given: Definition) -> TriggerDefinition:
        """How `given` is shown."""
        return cls(
            prompt=given.prompt,
            agent=given.agent,
            cron=given.cron or None,
            at=given.at or None,
            tz=given.tz,
            session=given.session,
            answer_in=given.answer_in or None,
            misfire=given.misfire,
            catch_up_s=given.catch_up_s,
            overlap=given.overlap,
            paused=given.paused,
        )


class TriggerView(Value, frozen=True, kw_only=True):
    """A trigger. `next` is when it is due next, None when never again; `reason` says why it is parked: its
    definition can not be read, a wrong clock led it far ahead, or its processor stopped (`turnwright processors
    schedule:<id> --resume schedule`).

    `origin` is `config` for one that `[[triggers]]` declares. `open` are ticks without an end: `waiting` for the one
    before them, on their way, or dispatched and not answered yet. One that is `removed` has no definition any more.
    """

    id: str
    status: TriggerStatus
    origin: Origin
    definition: TriggerDefinition | None
    next: int | None
    reason: str = ""
    open: int = 0
    head: int = 0


class Defined(Value, frozen=True, kw_only=True):
    """A trigger as it is now; `changed` is false when it was so already."""

    trigger: TriggerView
    changed: bool


class TriggerPage(Value, frozen=True, kw_only=True):
    """Triggers by their id. `cursor` asks for the next page, None when there is none."""

    triggers: tuple[TriggerView, ...]
    cursor: str | None


class Fired(Value, frozen=True, kw_only=True):
    """A tick that a person asked for; `duplicate` when they did before with the same key."""

    trigger: str
    tick: str
    offset: int
    duplicate: bool


class TickView(Value, frozen=True, kw_only=True):
    """What became of one due time. `claimed_at` is when its last attempt began, `dispatched_at` when it was in its
    session, at `offset`.

    `reason` is a safe code for whatever was not dispatched (yet); `retry_at` is the next attempt of one that was
    released. `outcome` is what the session made of it, once it did.
    """

    tick: str
    due: int
    state: TickState
    reason: str = ""
    recorded_at: int | None = None
    claimed_at: int | None = None
    dispatched_at: int | None = None
    retry_at: int | None = None
    attempts: int = 0
    session: str = ""
    offset: int = 0
    outcome: str = ""


class TickPage(Value, frozen=True, kw_only=True):
    """Ticks, the newest due time first. `cursor` asks for the next page, None when there is none."""

    ticks: tuple[TickView, ...]
    cursor: str | None


class Preview(Value, frozen=True, kw_only=True):
    """The next due times of an expression, and what the clock of its zone shows then."""

    times: tuple[int, ...]
    local: tuple[str, ...]
