"""Triggers over a real store, step by step: a clock that goes on when asked, a worker that does what is due when asked.

The store's clock stands at ten seconds past nine (UTC) on 2026-11-20 when a test begins.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Literal

from services.channels.contract import DeliveryError, Sending
from services.faults import Faults
from services.jobs.claims import Claim, Claims
from services.jobs.outcome import Again, Settled
from services.jobs.running import Running
from services.outbox.attempt import Attempts, Terms
from services.processors.advance import Advancer, Committed, Held
from services.processors.agent.processor import Agent
from services.processors.agent.rules import Rules
from services.schedule.dispatch import Dispatch
from services.schedule.names import job_of, stream_of
from services.schedule.outcomes import Outcomes
from services.schedule.processor import Schedule
from services.schedule.trimming import Trimming
from services.sessions.controls import Controls
from services.sessions.ticks import Ticks
from services.sessions.trigger_values import TickView
from services.sessions.triggers import Triggers
from services.streams.event import Event, EventInput, JobId, StreamId
from services.streams.keys import Keys, is_job
from services.streams.log import Log
from services.streams.schedule_events import Definition
from services.streams.vocabulary import InputReceived, LLMRequested, LLMSettled
from services.tokens import TokenId
from tests.fakes.store_stage import Hand, Stage

SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
AGENTS = ("default", "poet")
ROUNDS = 200


class Room:
    """The one place where triggers can be answered, with its trouble, if any."""

    ADDRESS = "slack:T1:C1"

    def __init__(self) -> None:
        self.trouble: DeliveryError | None = None

    def check(self, answer_in: str) -> None:
        """Everything is taken for a place."""

    def address(self, answer_in: str, sending: Sending) -> str:
        """It is always the same."""
        if self.trouble is not None:
            raise self.trouble
        return self.ADDRESS


class Clockwork:
    """One trigger, `nightly`; others by their ids. `schedule` is the processor that all workers here have.

    `beside` another one it looks after the same triggers, at the same time.
    """

    def __init__(
        self,
        url: str,
        keys: Keys,
        *,
        schedule: Schedule | None = None,
        beside: Clockwork | None = None,
    ) -> None:
        self.stage = Stage(
            url,
            keys,
            processors=[Agent(lambda name: Rules())],
            on_demand=[(Outcomes(), Outcomes.begins)],
            schedule=[schedule or Schedule()],
        )
        self.log = self.stage.log
        self.room = Room()
        self.triggers = Triggers(self.log, AGENTS, self.room)
        self.ticks = Ticks(self.log, self.triggers)
        self.controls = Controls(self.log, lambda stream, loaded, agent: None, {})
        self.trimming = Trimming(self.log, failed=self._failed)
        self.not_trimmed: list[Exception] = []
        self.heard: list[Callable[[Committed], None]] = [self.trimming.committed]
        self.agents: Collection[str] = AGENTS
        self.guard: Callable[[], None] = lambda: None
        self._hands: int = beside._hands if beside else 0
        self.hand = self._new_hand()
        if beside is None:
            self.pass_time(_nine() + 10 * SECOND - self.now)

    def _failed(self, error: Exception) -> None:
        self.not_trimmed.append(error)

    def _committed(self, done: Committed) -> None:
        for each in self.heard:
            each(done)

    @property
    def now(self) -> int:
        """The store's time."""
        return self.log.load(StreamId("nobody"), limit=0).now

    def pass_time(self, ms: int) -> None:
        """Let time go on, with nobody there."""
        self.stage.pass_time(ms)
        self.hand = self._new_hand()

    def define(self, trigger: str = "nightly", **given: object) -> None:
        """A trigger, hourly unless it is said otherwise."""
        times = {} if given.get("at") else {"cron": "0 * * * *"}
        self.triggers.define(trigger, Definition(**{"prompt": "go", **times, **given}))  # type: ignore[arg-type]  # as given

    def fire(self, trigger: str = "nightly") -> str:
        """Somebody wants it now; the tick."""
        return self.triggers.fire(trigger, token=TokenId("t")).tick

    def look(self, trigger: str = "nightly") -> None:
        """Somebody looks at a trigger until nothing follows for it any more."""
        for _ in range(ROUNDS):
            if self.stage.due_ids("advance").get(stream_of(trigger), 1) > 0:
                return
            self.hand.advancer.advance(stream_of(trigger))
        raise AssertionError("it never comes to rest")

    def work(self) -> None:
        """A worker does all that is due, but asks no model."""
        for _ in range(ROUNDS):
            streams = [StreamId(id) for id, late in self.stage.due_ids("advance").items() if late <= 0]
            for stream in streams:
                self.hand.advancer.advance(stream)
            jobs = [id for id, late in self.stage.due_ids("deliver").items() if late <= 0]
            if not streams and not jobs:
                return
            for id in jobs:
                self.run(JobId(id)) if is_job(id) else self.stage.deliverer.run(StreamId(id))
        raise AssertionError("there is always more to do")

    def run(self, job: JobId, hand: Hand | None = None) -> None:
        """A worker takes one tick to its session, or finds that it has to wait."""
        by = hand or self.hand
        held, claim = by.take_job("deliver", job)
        match self.dispatch(by).run(held, claim):
            case Settled(events=events):
                assert by.advancer.settle(held, events, None)
            case Again(error=code, delay_ms=delay, free=free, waits=waits):
                assert by.claims.release(held, error=code, delay_ms=delay, free=free or waits, waits=waits)
            case other:
                raise AssertionError(other)

    def take(self, tick: str, trigger: str = "nightly", hand: Hand | None = None) -> tuple[Held, Claim]:
        """A worker claims a tick's job, and that is all."""
        return (hand or self.hand).take_job("deliver", self.job(tick, trigger))

    def dispatch(self, hand: Hand) -> Dispatch:
        """What runs ticks in the process of `hand`."""
        log = Log(self.stage.store, self.stage.keys, guard=lambda: self.guard())
        running = Running(self.stage.store, hand.claims, self.stage.keys.cancel_channel, notices=False)
        attempts = Attempts(running, Terms(least_s=0.0), may_start=lambda: True)
        return Dispatch(log, self.agents, self.room, attempts, faults=Faults(None))

    def job(self, tick: str, trigger: str = "nightly") -> JobId:
        """The job of a tick."""
        return job_of(stream_of(trigger), tick)

    def settle(
        self, session: str, outcome: Literal["succeeded", "failed"] = "succeeded", *, text: str = "done"
    ) -> None:
        """The model answers what a session asked it last."""
        stream = StreamId(session)
        asked = self.log.read_back(stream, types=frozenset({"llm.requested"}), limit=1)[0]
        error = "" if outcome == "succeeded" else "refused"
        settled = LLMSettled(job=asked.decode(LLMRequested).job, outcome=outcome, text=text, error=error)
        self.log.append(stream, [EventInput.of("llm.settled", settled)])
        self.work()

    def events(self, *types: str, trigger: str = "nightly") -> list[Event]:
        """The trigger's events, or those of some types."""
        return [e for e in self.stage.events(stream_of(trigger)) if not types or e.type in types]

    def rows(self, trigger: str = "nightly", *, since: int | None = None) -> dict[str, TickView]:
        """The ledger, oldest first, by tick."""
        page = self.ticks.page(trigger, since=since, limit=10_000)
        assert len({one.tick for one in page.ticks}) == len(page.ticks)
        return {one.tick: one for one in reversed(page.ticks)}

    def states(self, trigger: str = "nightly") -> dict[str, str]:
        """The state of each tick of the last days, with its reason or outcome."""
        return {
            tick: ": ".join(filter(None, (one.state, one.reason or one.outcome)))
            for tick, one in self.rows(trigger, since=0).items()
        }

    def inputs(self, session: str) -> list[InputReceived]:
        """What a session was told."""
        found = self.stage.events(StreamId(session))
        return [e.decode(InputReceived) for e in found if e.type == "input.received"]

    def close(self) -> None:
        """Close the connections."""
        self.stage.close()

    def _new_hand(self) -> Hand:
        self._hands += 1
        made = self.stage.hand(f"hand-{self._hands}")
        # Attempts are bounded by the clock of the machine, which nobody moves.
        made.claims = Claims(self.log, made.name)
        made.advancer = Advancer(
            self.log, self.stage.registry, made.name, clock=lambda: 0.0, committed=self._committed
        )
        return made


def at(hour: int, minute: int = 0, *, day: int = 20) -> str:
    """The tick due then in November 2026."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC).strftime("%Y%m%dT%H%M%SZ")


def _nine() -> int:
    return int(datetime(2026, 11, 20, 9, tzinfo=UTC).timestamp() * 1000)
