"""Whatever happens to a trigger, in whatever order: each due time is accounted for exactly once."""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.cron.times import Times
from services.schedule.state import TriggerState
from tests.unit.schedule.life import DAY, HOUR, MINUTE, NINE, Life

CRONS = ("*/7 * * * *", "0 * * * *", "30 2 * * *", "15 3 * * 1-5", "")
DEFINITIONS = st.fixed_dictionaries(
    {
        "cron": st.sampled_from(CRONS),
        "tz": st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"]),
        "misfire": st.sampled_from(["skip", "latest", "all"]),
        "overlap": st.sampled_from(["skip", "queue", "allow"]),
        "session": st.sampled_from(["each", "one"]),
        "catch_up_s": st.sampled_from([60, 3600, 4 * 3600, 3 * 86_400]),
        "paused": st.booleans(),
    }
)
STEPS = st.sampled_from([1, 999, 30_000, MINUTE, 90_000, 11 * MINUTE, HOUR, 5 * HOUR, DAY])


class TriggerMachine(RuleBasedStateMachine):
    """`wanted` is what was due, worked out beside the trigger from what was asked of it and when."""

    @initialize(given=DEFINITIONS, offset_ms=st.integers(0, HOUR))
    def begin(self, given: dict[str, object], offset_ms: int) -> None:
        self.life = Life()
        self.life.now = NINE + offset_ms
        self.wanted: Counter[int] = Counter()
        self.given: dict[str, object] | None = None
        self.since = self.seen = self.latest = 0
        self.define(given)

    @rule(given=DEFINITIONS)
    def define(self, given: dict[str, object]) -> None:
        self._close()
        if not given["cron"]:
            # Where the clock was set back, none that is accounted for: whoever defines refuses it.
            given = {**given, "at": max(self.life.now, self.life.state.after) + 10 * MINUTE}
        self.life.define(**given)
        self.given, self.since, self.looked = given, self.life.now, 0

    @rule()
    def remove(self) -> None:
        self._close()
        self.life.remove()
        self.given = None

    @rule(step=STEPS)
    def pass_time(self, step: int) -> None:
        self.life.now += step
        self.latest = max(self.latest, self.life.now)

    @rule()
    def set_clock_back(self) -> None:
        self.life.now = max(self.since, self.life.now - 20 * MINUTE)

    @rule()
    def look(self) -> None:
        self.life.look()
        if self.given is not None and not self.given["paused"]:
            self.looked = max(self.looked, self.life.now)

    @rule()
    def fire(self) -> None:
        self.life.fire()

    @precondition(lambda self: self.life.jobs)
    @rule(end=st.sampled_from(["dispatched", "burned", "expired", "released"]), data=st.data())
    def run(self, end: str, data: st.DataObject) -> None:
        tick = data.draw(st.sampled_from(sorted(self.life.jobs)))
        if end == "released":
            self.life.release(tick)
        else:
            self.life.dispatch(tick, end)

    @precondition(lambda self: any(one.stage == "dispatched" for one in self.life.state.open.values()))
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        dispatched = sorted(n for n, one in self.life.state.open.items() if one.stage == "dispatched")
        self.life.settle(data.draw(st.sampled_from(dispatched)))

    @invariant()
    def it_can_be_folded_again(self) -> None:
        state = TriggerState()
        for event in self.life.events:
            state = self.life.schedule.reduce(state, event)
        assert state == self.life.state

    def teardown(self) -> None:
        if not hasattr(self, "wanted"):
            return
        # A clock that was set back comes to where it was.
        self.life.now = max(self.life.now, self.latest)
        self._close()
        self.life.look()
        accounted = self.life.accounted()
        # What is due while it is paused is accounted for once it is not any more.
        if self.given is not None and self.given["paused"]:
            self.life.define(cron="0 0 1 1 *")
            self.life.look()
            accounted = self.life.accounted()
        assert accounted == self.wanted

    def _close(self) -> None:
        """What was due since the last definition, up to now."""
        if self.given is None:
            return
        after, until = max(self.since, self.seen), max(self.looked, self.life.now)
        if self.given["cron"]:
            times = Times(str(self.given["cron"]), str(self.given["tz"])).between(after, until)
            self.wanted.update(times)
        elif after < int(str(self.given["at"])) <= until:
            self.wanted[int(str(self.given["at"]))] += 1
        self.seen = max(self.seen, max(self.wanted, default=0))


TestTrigger = TriggerMachine.TestCase
TestTrigger.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)
