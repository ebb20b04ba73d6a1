"""Whatever is appended while a worker plans: what follows is folded the same by all, and no due time is done twice."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.cron.times import Times
from services.streams.event import EventInput
from services.streams.schedule_events import (
    Definition,
    TickEnded,
    TickSettled,
    TicksPassed,
    TriggerCondensed,
    TriggerDefined,
    TriggerFired,
    TriggerRemoved,
)
from services.streams.vocabulary import AttemptEnded, JobStarted
from tests.unit.schedule.lane import Lane
from tests.unit.schedule.life import DAY, HOUR, MINUTE

DEFINITIONS = st.builds(
    Definition,
    prompt=st.just("go"),
    cron=st.sampled_from(["*/7 * * * *", "0 * * * *", "30 2 * * *"]),
    misfire=st.sampled_from(["skip", "latest", "all"]),
    overlap=st.sampled_from(["skip", "queue", "allow"]),
    session=st.sampled_from(["each", "one"]),
    catch_up_s=st.sampled_from([60, 4 * 3600, 3 * 86_400]),
    paused=st.booleans(),
)
STEPS = st.sampled_from([1, 30_000, 7 * MINUTE, HOUR, 5 * HOUR, DAY + MINUTE, 9 * DAY])
ENDS = st.sampled_from(["started", "dispatched", "burned", "attempt_failed", "settled"])


class Races(RuleBasedStateMachine):
    """Every change may come at rest, or between the plan of a commit and its writing."""

    @initialize(given=DEFINITIONS)
    def begin(self, given: Definition) -> None:
        self.lane = Lane()
        self.lane.append("trigger.defined", TriggerDefined(definition=given))

    @rule(given=DEFINITIONS, races=st.booleans())
    def define(self, given: Definition, races: bool) -> None:
        self.change(EventInput.of("trigger.defined", TriggerDefined(definition=given)), races=races)

    @rule(races=st.booleans())
    def remove(self, races: bool) -> None:
        self.change(EventInput.of("trigger.removed", TriggerRemoved()), races=races)

    @rule(races=st.booleans())
    def fire(self, races: bool) -> None:
        self.change(EventInput.of("trigger.fired", TriggerFired()), races=races)

    @rule(step=STEPS)
    def pass_time(self, step: int) -> None:
        self.lane.now += step

    @rule(claims=st.booleans())
    def look(self, claims: bool) -> None:
        self.lane.rest(claims=claims)

    @precondition(lambda self: self.lane.at and self.lane.state.open)
    @rule(end=ENDS, races=st.booleans(), data=st.data())
    def run(self, end: str, races: bool, data: st.DataObject) -> None:
        tick = data.draw(st.sampled_from(sorted(self.lane.state.open)))
        one = self.lane.state.open[tick]
        job = f"schedule:nightly@{tick}"
        is_running = self.lane.claimed.get(job, False)
        if end == "settled" and one.stage == "dispatched":
            self.change(
                EventInput.of("tick.settled", TickSettled(tick=tick, outcome="answered")), races=races
            )
        elif end == "started" and job in self.lane.jobs and not is_running:
            started = JobStarted(job=job, attempt=self.lane.tokens.get(job, 0) + 1, incarnation="w")
            self.change(EventInput.of("tick.started", started), races=races)
        elif end == "attempt_failed" and is_running:
            failed = AttemptEnded(job=job, error="paused", retry_at=self.lane.now)
            self.change(EventInput.of("tick.attempt_failed", failed), races=races)
        elif end in ("dispatched", "burned") and is_running:
            self.change(EventInput.of(f"tick.{end}", TickEnded(tick=tick, job=job)), races=races)

    def change(self, made: EventInput, *, races: bool) -> None:
        if races:
            self.lane.commit(between=made)
        else:
            self.lane.append_input(made)

    @invariant()
    def all_fold_the_same(self) -> None:
        if hasattr(self, "lane") and self.lane.at == len(self.lane.events):
            assert self.lane.state == self.lane.folded()
            kept = [e.decode(TriggerCondensed) for e in self.lane.events if e.type == "trigger.condensed"]
            since = max((one.trims for one in kept), default=0)
            assert not since or self.lane.state == self.lane.folded(since=since)

    @invariant()
    def nothing_is_due_twice(self) -> None:
        if not hasattr(self, "lane"):
            return
        found = Counter(one.due for one in self.lane.due if not one.is_manual)
        for event in self.lane.events:
            if event.type in ("ticks.skipped", "ticks.expired"):
                one = event.decode(TicksPassed)
                given = self.lane.events[one.definition - 1].decode(TriggerDefined).definition
                found.update(Times(given.cron, given.tz).between(one.first - 1, one.last))
        assert not found or max(found.values()) == 1

    def teardown(self) -> None:
        if not hasattr(self, "lane"):
            return
        self.lane.rest()
        state = self.lane.state
        going = {tick for tick, one in state.open.items() if one.stage in ("queued", "running")}
        assert {job.rpartition("@")[2] for job in self.lane.jobs} == going


TestRaces = Races.TestCase
TestRaces.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
