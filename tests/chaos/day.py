"""A simulated day: beats, workers, triggers, a clock that goes on in steps, crashes; and what all that came to."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from tests.chaos.day_case import Case
from tests.chaos.day_plan import Body, Deed, Plan, Scale, Step, plan_of
from tests.chaos.day_report import excerpt, variety
from tests.chaos.day_stage import TIMINGS, Stage
from tests.chaos.day_verdict import DayEvidence, DayVerdict, Fire, judge_day
from tests.scenarios.platform import Platform, Setup
from tests.scenarios.vendor import Vendor

SHIFTS = 3
EXCERPTS, ROWS = 4, 24
BACK_S = 1.0
# Nobody waits for what takes long here, and no answer is too late because the clock jumped.
CONFIG = """[limits]
job_expires_s = 604800
"""


@dataclass(slots=True, kw_only=True)
class DayReport:
    """What a day came to."""

    scale: Scale
    seed: int
    plan: Plan
    evidence: DayEvidence
    verdict: DayVerdict
    took_s: float
    blows: list[str]
    deaths: list[str]
    points: list[str]
    errors: list[str]

    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return not (self.verdict.broken or self.errors)

    def ticks(self) -> int:
        """Due times that were accounted for."""
        return sum(len(case.expected) for case in self.evidence.cases.values())

    def figures(self) -> str:
        """One paragraph for a person."""
        rows = [row for case in self.evidence.cases.values() for row in case.rows if row.due <= case.end]
        states = Counter(f"{row.state} {row.reason}".strip() for row in rows)
        cases = list(self.evidence.cases.values())
        start, end = (datetime.fromtimestamp(at / 1000, UTC) for at in (self.plan.start, cases[0].end))
        return "\n".join(
            (
                f"{self.scale.name}: seed {self.seed}, {self.took_s:.0f} s for {start:%F %H:%M} to {end:%F %H:%M} UTC",
                f"  {len(cases)} triggers, {self.ticks()} due times, {len(self.evidence.fires)} fired by hand",
                f"  {dict(states.most_common())}",
                f"  {sum(row.attempts > 1 for row in rows)} ticks took more than one attempt",
                f"  blows {dict(Counter(self.blows))}",
                f"  {len(self.deaths)} processes died and were started again: "
                f"{dict(Counter(each.partition(':')[0] for each in self.deaths))}, some of them at {self.points}",
            )
        )

    def excerpts(self) -> str:
        """Of a few ledgers, in which the most different things happened, the rows that tell of them; and of fixed times
        in the night in which clocks were set."""
        cases = sorted(self.evidence.cases.values(), key=lambda case: variety(case.rows), reverse=True)
        nightly = [self.evidence.cases[f"nightly-{n}"] for n in range(3)]
        return "\n".join(
            f"{case.trigger}: {dict(case.times[0].body)}\n{excerpt(case, ROWS)}"
            for case in (*nightly, *cases[:EXCERPTS])
        )

    def report(self) -> str:
        """Everything needed to understand a broken promise: the ledger and stream of each trigger that it is about."""
        lines = [self.figures(), *(f"error: {each}" for each in self.errors)]
        for who, broken in self.verdict.broken.items():
            lines += [f"{who}: {one}" for one in broken]
            if who in self.evidence.cases:
                lines.append(excerpt(self.evidence.cases[who]))
                lines += [f"    {event}" for event in self.evidence.cases[who].events]
            lines += [f"    {event}" for event in self.evidence.sessions.get(who, ())]
        return "\n".join(lines)


class Day:
    """Goes through a plan on a stage."""

    def __init__(self, stage: Stage, vendor: Vendor, plan: Plan, rng: random.Random) -> None:
        self._stage, self._vendor, self._plan, self._rng = stage, vendor, plan, rng
        self._given: dict[str, list[Body | None]] = defaultdict(list)
        self._fires: list[Fire] = []
        self._keys = count()
        # What stands in the way of rest: the step it ends in, and what ends it.
        self._held: list[tuple[int, Callable[[], None]]] = []
        # (the shift they are back in, who is away)
        self._away: tuple[int, list[str]] = (0, [])
        self._pause = threading.Event()
        self.blows: list[str] = []

    def begin(self) -> None:
        """Set the clock, start everybody, define the triggers."""
        stage = self._stage
        stage.clock.move(self._plan.start - stage.clock.now())
        stage.start_all()
        stage.platform.wait_ready(workers=len(stage.workers))
        for trigger, body in self._plan.first.items():
            self._define(trigger, body)

    def live(self) -> None:
        """From its first hour to its last."""
        for number, step in enumerate(self._plan.steps):
            self._step(number, step)

    def evidence(self) -> DayEvidence:
        """What can be seen afterwards."""
        people, stage = self._stage.people, self._stage
        owed = {name: float(count) for name, count in stage.owed().items()}
        end, course = stage.clock.course.shown_last(), stage.clock.course
        events = stage.events(self._given)
        sessions = [one for one in people.sessions() if one.startswith("trigger:")]
        cases = {
            trigger: Case(
                trigger=trigger,
                events=found,
                rows=people.rows(trigger, self._plan.start - 1),
                view=people.trigger(trigger),
                course=course,
                end=end,
            )
            for trigger, found in events.items()
        }
        return DayEvidence(
            cases=cases,
            given=self._given,
            fires=self._fires,
            sessions={session: people.events(session) for session in sessions},
            statuses={session: people.detail(session) for session in sessions},
            owed=owed,
        )

    def _step(self, number: int, step: Step) -> None:
        self._let_go(number)
        for deed in step.deeds:
            self._do(number, deed)
        self._stage.clock.move_to(step.at)
        until, names = self._away
        self._stage.tend(but=names if number < until else ())
        if step.rests and not self._held:
            self._rest(number)
        else:
            self._pause.wait(self._rng.uniform(0.0, 0.5))

    def _rest(self, number: int) -> None:
        until, names = self._away
        self._stage.rest(but=names if number < until else ())

    def _do(self, number: int, deed: Deed) -> None:
        stage = self._stage
        self.blows.append(f"{deed.what} {deed.target}".strip() if deed.what in ("kill", "arm") else deed.what)
        match deed.what:
            case "define":
                self._define(deed.target, deed.body)
            case "remove":
                stage.people.remove(deed.target)
                self._given[deed.target].append(None)
            case "fire":
                self._fire(deed)
            case "kill":
                stage.kill(deed.target)
                stage.revive(deed.target)
            case "arm":
                stage.platform.arm(deed.target)
            case "hold" | "pause" | "stop":
                self._hold(number, deed)
            case "no_beats":
                stage.kill(*stage.beats)
                self._away = number + 2 * SHIFTS, stage.beats
            case "nobody":
                self._nobody(deed)
            case "outage":
                self._let_go(2**30)
                start = stage.stop_the_world()
                stage.clock.move(deed.ms)
                start()
            case "back":
                stage.clock.move(-deed.ms)
                # For so long that everybody looks at it.
                self._pause.wait(BACK_S)
            case "suspend":
                stage.clock.move(deed.ms)

    def _nobody(self, deed: Deed) -> None:
        """Neither workers nor beats for a while, in which somebody changes a trigger."""
        stage = self._stage
        stage.kill(*stage.workers, *stage.beats)
        stage.clock.move(deed.ms // 2)
        self._define(deed.target, deed.body)
        stage.clock.move(deed.ms - deed.ms // 2)
        stage.clock.mark()

    def _define(self, trigger: str, body: Body) -> None:
        self._stage.people.define(trigger, body)
        self._given[trigger].append(body)

    def _fire(self, deed: Deed) -> None:
        key = f"fire-{next(self._keys)}"
        ticks = [self._stage.people.fire(deed.target, key) for _ in range(deed.times)]
        if found := tuple(tick for tick in ticks if tick is not None):
            self._fires.append(Fire(trigger=deed.target, key=key, ticks=found))

    def _hold(self, number: int, deed: Deed) -> None:
        session = f"trigger:{deed.target}"
        match deed.what:
            case "hold":
                end: Callable[[], None] | None = self._vendor.hold(session).open
            case "pause":
                end = self._stage.people.pause(session)
            case _:
                end = self._stage.stand_still(deed.target)
        if end is not None:
            self._held.append((number + SHIFTS, end))

    def _let_go(self, number: int) -> None:
        for until, end in self._held:
            if until <= number:
                end()
        self._held = [(until, end) for until, end in self._held if until > number]


def live_through(scale: Scale, folder: Path, *, site: Path, seed: int) -> DayReport:
    """Live one day in `folder`, which is new; `site` holds the installed example packages."""
    began = time.monotonic()
    plan = plan_of(scale, seed)
    with _staged(scale, folder, site) as stage:
        day = Day(stage, stage.platform.vendor, plan, random.Random(f"{seed}/{scale.name}/pace"))
        day.begin()
        try:
            day.live()
        except AssertionError as error:
            # Told in the report, with what can be seen of it.
            stage.errors.append(f"{type(error).__name__}: {error}; owed: {stage.owed()}")
            stage.clock.mark()
        evidence = day.evidence()
        logs = stage.platform.logs()
        points = sorted({each.name.partition(".hit.")[0] for each in stage.platform.faults.glob("*.hit.*")})
    errors = [*stage.errors, *(["a traceback in the logs"] if "Traceback" in logs else [])]
    return DayReport(
        scale=scale,
        seed=seed,
        plan=plan,
        evidence=evidence,
        verdict=judge_day(evidence),
        took_s=time.monotonic() - began,
        blows=day.blows,
        deaths=stage.deaths,
        points=points,
        errors=errors,
    )


@contextmanager
def _staged(scale: Scale, folder: Path, site: Path) -> Iterator[Stage]:
    with ExitStack() as held:
        vendor = held.enter_context(Vendor())
        setup = Setup(site=site, config=CONFIG, timings=TIMINGS)
        platform = Platform(folder, setup, vendor)
        held.callback(platform.close)
        platform.start_stores()
        stage = Stage(platform, workers=scale.workers, beats=scale.beats)
        held.callback(stage.close)
        yield stage
