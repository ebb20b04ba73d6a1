"""One trigger of a simulated day as its stream tells it, beside what should have been due.

The due times are worked out minute by minute (tests/unit/schedule/oracle.py), not as the product does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from services.sessions.trigger_values import TickView, TriggerView
from tests.chaos.api import Event
from tests.chaos.day_clock import Course
from tests.unit.schedule.oracle import due_times

# What the oracle does not read.
_PLAIN = {"@hourly": "0 * * * *", "0,20 1-22 * * sun-sat": "0,20 1-22 * * *"}
_UNSAID = {
    "agent": "default",
    "cron": "",
    "at": 0,
    "tz": "UTC",
    "session": "each",
    "misfire": "latest",
    "catch_up_s": 14_400,
    "overlap": "queue",
    "paused": False,
}
_ENDS = ("tick.dispatched", "tick.burned", "tick.skipped", "tick.expired")
_CHOSEN = ("tick.queued", "tick.admitted", "ticks.skipped", "ticks.expired", "tick.skipped", "tick.expired")


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """How long (epoch ms) a definition was in force; `until` is 0 for the one that is still."""

    offset: int
    since: int
    until: int
    body: Mapping[str, Any]

    def due(self, end: int) -> list[int]:
        """What it made due up to `end`, the oldest first."""
        if not self.body["cron"]:
            return [self.body["at"]] if self.body["at"] <= end else []
        cron = _PLAIN.get(self.body["cron"], self.body["cron"])
        return list(_due(cron, self.body["tz"], self.since, min(self.until or end, end)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What was said of a due time: by the event at `offset`, `at` a time. `tick` where it was to be done."""

    offset: int
    at: int
    said: str
    reason: str = ""
    tick: str = ""


@dataclass(slots=True, kw_only=True)
class Tick:
    """What happened to a tick. `left` is the offset at which it was on its way, 0 while it waited."""

    name: str
    due: int
    queued: Event
    definition: int
    left: int = 0
    ends: list[Event] = field(default_factory=list)
    settled: list[Event] = field(default_factory=list)

    @property
    def is_manual(self) -> bool:
        """Whether a person asked for it."""
        return self.name.startswith("manual-")

    @property
    def over(self) -> int:
        """Where it stood in nobody's way any more."""
        last = self.settled or [one for one in self.ends if one.type != "tick.dispatched"]
        return last[0].offset if last else 2**60


@dataclass(frozen=True, kw_only=True)
class Case:
    """All there is of one trigger: `rows` of the ledger over the API, `view` of the trigger, its `events`."""

    trigger: str
    events: Sequence[Event]
    rows: Sequence[TickView]
    view: TriggerView
    course: Course
    end: int

    @cached_property
    def times(self) -> list[Time]:
        """The definitions, one after the other."""
        found: list[Time] = []
        for event in self.events:
            if event.type not in ("trigger.defined", "trigger.removed"):
                continue
            if found and not found[-1].until:
                found[-1] = _until(found[-1], event.created_at)
            if event.type == "trigger.defined":
                body = full(event.payload["definition"])
                found.append(Time(offset=event.offset, since=event.created_at, until=0, body=body))
        return found

    def time_of(self, offset: int) -> Time:
        """The definition that stands at `offset`, or that was written down anew there."""
        return [one for one in self.times if one.offset <= offset][-1]

    @cached_property
    def expected(self) -> dict[int, Time]:
        """Everything that was due up to the end."""
        return {due: time for time in self.times for due in time.due(self.end)}

    @cached_property
    def accounts(self) -> dict[int, list[Account]]:
        """What was said of each due time."""
        found: dict[int, list[Account]] = defaultdict(list)
        for event in self.events:
            said = event.payload
            if event.type == "tick.queued" and not said.get("is_manual"):
                one = Account(offset=event.offset, at=event.created_at, said="queued", tick=said["tick"])
                found[said["due"]].append(one)
            elif event.type in ("ticks.skipped", "ticks.expired"):
                self._passed(event, found)
        return {due: accounts for due, accounts in found.items() if due <= self.end}

    @cached_property
    def ticks(self) -> dict[str, Tick]:
        """What was to be done, by name."""
        found: dict[str, Tick] = {}
        for event in self.events:
            name = event.payload.get("tick", "")
            if event.type == "tick.queued":
                said = event.payload
                tick = Tick(name=name, due=said["due"], queued=event, definition=said["definition"])
                tick.left = 0 if said.get("waits") else event.offset
                found[name] = tick
            elif name in found and event.type == "tick.admitted":
                found[name].left = found[name].left or event.offset
            elif name in found and event.type in _ENDS:
                found[name].ends.append(event)
            elif name in found and event.type == "tick.settled":
                found[name].settled.append(event)
        return {name: tick for name, tick in found.items() if tick.due <= self.end}

    def decided_before(self, offset: int) -> int:
        """The last offset before `offset` that whoever wrote there had certainly read.

        Commits follow each other: each has read all that was there before the one before it wrote.
        """
        at = next(one.created_at for one in self.events if one.offset == offset)
        own = [one.offset for one in self.events if one.type in _CHOSEN and one.offset <= offset]
        # What one commit wrote has one time.
        first = min(one.offset for one in self.events if one.offset in own and one.created_at == at)
        return max((one for one in own if one < first), default=0)

    def _passed(self, event: Event, found: dict[int, list[Account]]) -> None:
        said = event.payload
        account = Account(offset=event.offset, at=event.created_at, said=event.type, reason=said["reason"])
        within = self.time_of(said["definition"]).due(max(self.end, said["last"]))
        dues = [due for due in within if said["first"] <= due <= said["last"]]
        # A range that begins or ends with what was never due shows as an account of that.
        for due in {said["first"], said["last"], *dues}:
            found[due].append(account)


def full(body: Mapping[str, Any]) -> dict[str, Any]:
    """A definition with what it does not say."""
    return {**_UNSAID, **body}


def local(due: int, tz: str) -> str:
    """What the clock of a zone shows, as prompts have it."""
    return datetime.fromtimestamp(due / 1000, UTC).astimezone(ZoneInfo(tz)).isoformat(timespec="seconds")


@lru_cache(maxsize=1024)
def _due(cron: str, tz: str, after: int, until: int) -> tuple[int, ...]:
    begins, ends = (datetime.fromtimestamp(at / 1000, UTC) for at in (after, until))
    return tuple(int(due.timestamp()) * 1000 for due in due_times(cron, tz, begins, ends))


def _until(time: Time, at: int) -> Time:
    return Time(offset=time.offset, since=time.since, until=at, body=time.body)


def first_due(time: Time, after: int, days: int = 3) -> int | None:
    """What the definition makes due next after `after`, None when nothing within some days."""
    later = Time(offset=0, since=after, until=0, body=time.body)
    dues: Iterator[int] = (due for due in later.due(after + days * 86_400_000) if due > after)
    return next(dues, None)
