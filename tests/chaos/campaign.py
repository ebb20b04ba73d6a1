"""One run of the kill test: a platform, a vendor, people who talk, an attack, and the verdict."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

from tests.chaos.api import API, Event
from tests.chaos.driver import Driver
from tests.chaos.ledger import STARTS_NO_TURN
from tests.chaos.machine import TOKEN, Machine
from tests.chaos.monkey import Act, Monkey
from tests.chaos.talks import Talks
from tests.chaos.vendor import Vendor
from tests.chaos.verdict import Evidence, Verdict, collect, counted, judge, overdue, settled_at
from tests.fakes.callback_server import CallbackServer
from tests.fakes.llm_server import LLMServer
from tests.worker.waiting import wait_until

QUIET_WITHIN_S = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to run it. `timings` shorten what a test can not wait for."""

    name: str
    turns: int
    acts: tuple[Act, ...]
    workers: int = 3
    people: int = 6
    shortcuts: bool = True
    timings: Mapping[str, float] = field(default_factory=dict)
    stop_s: float = 0.0

    @property
    def kills(self) -> int:
        """How many random kills are planned."""
        return sum(act.what == "kill" for act in self.acts)


@dataclass(slots=True, kw_only=True)
class Result:
    """What a run came to."""

    variant: Variant
    seed: int
    evidence: Evidence
    verdict: Verdict
    took_s: float
    repeats: int
    machine_down: list[str]
    trouble: str = ""

    @property
    def kills(self) -> int:
        """Random kills at whose instant an acknowledged turn was open."""
        return sum(
            1 for blow in self.evidence.blows if blow.act.what == "kill" and counted(blow, self.evidence)
        )

    def turns(self) -> int:
        """Acknowledged prompts that start a turn."""
        return sum(1 for ack in self.evidence.acks if ack.policy not in STARTS_NO_TURN)

    def roles(self) -> set[str]:
        """Whose counted kill there was at least one."""
        blows = self.evidence.blows
        return {b.act.target for b in blows if b.act.what == "kill" and counted(b, self.evidence)}

    def points(self) -> set[str]:
        """The fault points somebody died at."""
        return {blow.act.target for blow in self.evidence.blows if blow.act.what == "fault"}

    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return not (self.trouble or self.verdict.broken or self.machine_down)

    def figures(self) -> str:
        """One paragraph for a person."""
        ends = settled_at(self.evidence.events)
        waits = [
            ends[ack.session, ack.offset] - ack.acked_at
            for ack in self.evidence.acks
            if (ack.session, ack.offset) in ends
        ]
        cuts = quantiles(waits, n=100) if len(waits) > 1 else [0.0] * 99
        outcomes = Counter(e.payload["outcome"] for e in self._events("turn.settled"))
        per_job = Counter(call.asked.job for call in self.evidence.calls)
        last = max((over for over, _ in overdue(self.evidence)), default=0.0)
        letters = {letter.id for letter in self.evidence.letters}
        blows = Counter(f"{blow.act.what} {blow.act.target}" for blow in self.evidence.blows)
        return "\n".join(
            (
                f"{self.variant.name}: seed {self.seed}, {self.took_s:.0f} s",
                f"  {len(waits)} turns in {len(self.evidence.events)} sessions, outcomes {dict(outcomes)}",
                f"  settled after p50 {cuts[49]:.2f} s, p95 {cuts[94]:.2f} s, longest {max(waits, default=0):.2f} s",
                f"  {self.kills} counted kills of {sorted(self.roles())}, "
                f"{len(self.points())} fault points, {blows.get('stop worker', 0)} stops",
                f"  {dict(blows)}",
                f"  {len(self.evidence.calls)} vendor calls for {len(per_job)} requests, "
                f"{len(self.evidence.letters)} letters for {len(letters)} replies, "
                f"{len(self.evidence.notes)} notes written, {self.repeats} HTTP repeats, "
                f"{len(self.verdict.late)} late calls of stopped processes, "
                f"the last call noted {last:+.3f} s from its settlement",
                *(f"  late: {each}" for each in self.verdict.late),
            )
        )

    def report(self) -> str:
        """Everything needed to understand a broken promise."""
        lines = [self.figures(), f"trouble: {self.trouble}" if self.trouble else ""]
        lines += [f"given up by the supervisor: {self.machine_down}"] if self.machine_down else []
        lines += ["attack:", *(f"  {blow}" for blow in self.evidence.blows)]
        for session, broken in self.verdict.broken.items():
            lines += [f"{session}: {one}" for one in broken]
            lines += [f"  {_shown(event)}" for event in self.evidence.events.get(session, ())]
        return "\n".join(lines)

    def _events(self, type: str) -> list[Event]:
        return [e for events in self.evidence.events.values() for e in events if e.type == type]


def run(variant: Variant, folder: Path, *, plugins: Path, seed: int) -> Result:
    """Run one variant in `folder`; `plugins` holds the installed example packages."""
    rng = random.Random(f"{seed}/{variant.name}")
    faults = folder / "faults"
    faults.mkdir(parents=True)
    notes = folder / "notes"
    began = time.monotonic()
    with LLMServer(respond=Vendor().respond) as fake, CallbackServer() as told:
        machine = Machine(folder, _environment(variant, plugins, fake.url, faults, notes))
        api = API(machine.url, TOKEN)
        driver = Driver(
            api,
            fake,
            Talks(rng),
            run=f"{seed}-{variant.name}",
            people=variant.people,
            callbacks=told.url,
        )
        acts = rng.sample(variant.acts, len(variant.acts))
        monkey = Monkey(
            machine,
            driver.ledger.waiting,
            acts,
            rng=random.Random(f"{seed}/{variant.name}/blows"),
            faults=faults,
            stop_s=variant.stop_s,
        )
        try:
            machine.start()
            monkey.start()
            trouble = _attack(driver, monkey, variant)
            evidence = _look(api, driver, monkey, fake, told=told, notes=notes)
        finally:
            machine.stop()
            api.close()
    return Result(
        variant=variant,
        seed=seed,
        evidence=evidence,
        verdict=judge(evidence),
        took_s=time.monotonic() - began,
        repeats=api.repeats,
        machine_down=machine.down(),
        trouble=trouble,
    )


def _attack(driver: Driver, monkey: Monkey, variant: Variant) -> str:
    trouble = ""
    try:
        driver.drive(variant.turns, progress=monkey.progress)
    except Exception as error:
        # Told in the report, with what the log says about it.
        trouble = f"{type(error).__name__}: {error}"
    monkey.finish()
    if monkey.error is not None:
        trouble += f" attack: {type(monkey.error).__name__}: {monkey.error}"
    return trouble


def _look(
    api: API, driver: Driver, monkey: Monkey, fake: LLMServer, *, told: CallbackServer, notes: Path
) -> Evidence:
    """Wait until nothing is owed any more, then collect the evidence."""
    sessions = sorted(driver.sessions)
    # What is still owed then is in the evidence.
    with suppress(AssertionError):
        wait_until(lambda: not any(api.due().values()), within_s=QUIET_WITHIN_S)
    return Evidence(
        acks=driver.ledger.acks(),
        events=collect(api, sessions),
        calls=list(fake.requests),
        letters=list(told.received),
        notes=notes.read_text(encoding="utf-8").splitlines() if notes.exists() else [],
        blows=monkey.blows,
        statuses={session: api.detail(session) for session in sessions},
        due=api.due(),
    )


def _environment(variant: Variant, plugins: Path, url: str, faults: Path, notes: Path) -> dict[str, str]:
    timings = ",".join(f"{name}={value:g}" for name, value in variant.timings.items())
    return {
        "TURNWRIGHT_WORKERS": str(variant.workers),
        "TURNWRIGHT_SLOTS": "20",
        "TURNWRIGHT_MODEL": "acme:fake-1",
        "TURNWRIGHT_TEST_FAULTS": str(faults),
        "TURNWRIGHT_TEST_SHORTCUTS": "1" if variant.shortcuts else "0",
        "PYTHONPATH": str(plugins),
        "TURNWRIGHT_CALLBACK_ALLOW": "127.0.0.1",
        "ACME_BASE_URL": url,
        "ACME_NOTES": str(notes),
    } | ({"TURNWRIGHT_TEST_TIMINGS": timings} if timings else {})


def _shown(event: Event) -> str:
    return f"{event.offset:4} {event.created_at / 1000:.3f} {event.type} {event.payload}"
