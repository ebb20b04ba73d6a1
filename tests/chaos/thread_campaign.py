"""One run over Slack and GitHub: a platform, stand-ins on a bad day, a crowd, an attack, and the verdict."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

from tests.chaos.api import API
from tests.chaos.crowd import Crowd
from tests.chaos.machine import TOKEN, Machine
from tests.chaos.monkey import Act, Blow, Monkey, fault
from tests.chaos.postman import Postman
from tests.chaos.rooms import Rooms
from tests.chaos.thread_report import story, unanswered
from tests.chaos.thread_verdict import Talked, acks_of, judge_talk
from tests.chaos.threads import Threads
from tests.chaos.trouble import Trouble, TroubledGitHub, TroubledSlack
from tests.chaos.vendor import Vendor, numbered
from tests.chaos.verdict import Evidence, Verdict, collect
from tests.fakes.llm_server import LLMServer
from tests.scenarios import github_talk, slack_talk
from tests.worker.waiting import wait_until

# A look for what GitHub could not deliver, of which the process dies, holds back the next one for two minutes.
QUIET_WITHIN_S = 180.0
# Each mention is a turn of its own, so that it can be told which reply is whose.
CONFIG = "[agents.default]\ndebounce_ms = 0\n[limits]\ndelivery_attempts = {attempts}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outing:
    """One way to run it. Whoever reaches one of `points` first dies there; `timings` shorten waits.

    A reply is tried `attempts` times. `saying` and `looking`: see `Trouble`.
    """

    name: str
    mentions: int
    acts: tuple[Act, ...]
    points: tuple[str, ...] = ()
    workers: int = 3
    people: int = 6
    has_spool: bool = True
    attempts: int = 15
    saying: float = 0.25
    looking: float = 0.1
    timings: Mapping[str, float] = field(default_factory=dict)
    stop_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class Report:
    """What a run came to."""

    outing: Outing
    seed: int
    talked: Talked
    verdict: Verdict
    took_s: float
    trouble: Counter[str]
    died: list[Blow]
    machine_down: list[str]
    errors: list[str]

    def is_clean(self) -> bool:
        """Whether every promise was kept."""
        return not (self.errors or self.verdict.broken or self.machine_down)

    def mentions(self) -> int:
        """Acknowledged mentions that an answer was owed to."""
        return sum(1 for each in self.talked.asked.values() if each.saying.is_answered and each.acked_at)

    def figures(self) -> str:
        """One paragraph for a person."""
        asked = [each for each in self.talked.asked.values() if each.saying.is_answered]
        waits = [
            each.answered_at - each.acked_at for each in asked if each.answered_at and not each.saying.is_lost
        ]
        cuts = quantiles(waits, n=100) if len(waits) > 1 else [0.0] * 99
        statuses = Counter(each.status or each.error for each in self.talked.attempts)
        kinds = Counter(each.room.thread.kind for each in asked)
        lost = sum(each.saying.is_lost for each in asked)
        blows = Counter(f"{blow.act.what} {blow.act.target}" for blow in self.talked.base.blows)
        posts = sum(map(len, self.talked.posts.values()))
        return "\n".join(
            (
                f"{self.outing.name}: seed {self.seed}, {self.took_s:.0f} s",
                f"  {self.mentions()} mentions {dict(kinds)}, {lost} of them lost at first, "
                f"in {len(self.talked.posts)} threads, {posts} posts, "
                f"{len(self.talked.uncertain())} uncertain: {[each.id for each in self.talked.uncertain()]}",
                f"  answered after p50 {cuts[49]:.2f} s, p95 {cuts[94]:.2f} s, longest {max(waits, default=0):.2f} s",
                f"  {len(self.talked.attempts)} webhooks {dict(statuses)} for {len(self.talked.deliveries)} deliveries",
                f"  blows {dict(blows)}, deaths at {sorted(blow.act.target for blow in self.died)}",
                f"  trouble {dict(sorted(self.trouble.items()))}",
                f"  threads that still show work: {len(self.talked.working)} {list(self.talked.working)}",
                *(f"  no answer: {each}" for each in unanswered(self.talked, self.died)),
                *(f"  late: {each}" for each in self.verdict.late),
            )
        )

    def report(self) -> str:
        """Everything needed to understand a broken promise: what happened to each mention that it is about."""
        lines = [self.figures(), *(f"error: {each}" for each in self.errors)]
        lines += [f"given up by the supervisor: {self.machine_down}"] if self.machine_down else []
        blows = sorted((*self.talked.base.blows, *self.died), key=lambda blow: blow.at)
        lines += ["attack:", *(f"  {blow}" for blow in blows)]
        for who, broken in self.verdict.broken.items():
            lines += [f"{who}: {one}" for one in broken]
            lines += story(self.talked, who)
        return "\n".join(lines)


def go_out(outing: Outing, folder: Path, *, plugins: Path, seed: int) -> Report:
    """Run one in `folder`; `plugins` holds the installed example packages."""
    rng = random.Random(f"{seed}/{outing.name}")
    faults = folder / "faults"
    faults.mkdir(parents=True)
    (folder / "turnwright.toml").write_text(CONFIG.format(attempts=outing.attempts))
    for point in outing.points:
        (faults / point).touch()
    began = time.monotonic()
    luck = random.Random(f"{seed}/{outing.name}/trouble")
    trouble = Trouble(luck, saying=outing.saying, looking=outing.looking)
    with (
        LLMServer(respond=Vendor(numbered).respond) as model,
        TroubledSlack(trouble) as slack,
        TroubledGitHub(trouble) as github,
    ):
        given = {
            **slack_talk.ENVIRONMENT,
            "TURNWRIGHT_SLACK_API_URL": slack.api_url,
            **github_talk.environment(github),
        }
        machine = Machine(folder, _environment(outing, plugins, folder, model.url) | given)
        api, postman = API(machine.url, TOKEN), Postman(machine.url)
        rooms = Rooms(slack, github)
        crowd = Crowd(postman, rooms, Threads(rng), people=outing.people, reconcile=api.reconcile)
        monkey = Monkey(
            machine,
            crowd.open,
            rng.sample(outing.acts, len(outing.acts)),
            rng=random.Random(f"{seed}/{outing.name}/blows"),
            faults=faults,
            stop_s=outing.stop_s,
            lie=trouble.ambush.lie,
        )
        try:
            machine.start()
            monkey.start()
            errors = _attack(crowd, monkey, outing)
            trouble.is_on = False
            talked = _look(api, crowd, monkey, postman, model=model, outing=outing)
        finally:
            machine.stop()
            postman.close()
            api.close()
        errors += [f"slack: {each}" for each in slack.violations]
        errors += [f"github: {each}" for each in github.take_mistakes()]
        slack.violations.clear()
    return Report(
        outing=outing,
        seed=seed,
        talked=talked,
        verdict=judge_talk(talked),
        took_s=time.monotonic() - began,
        trouble=trouble.done,
        died=_died(faults),
        machine_down=machine.down(),
        errors=errors,
    )


def _died(faults: Path) -> list[Blow]:
    """Who died at points that were armed from the beginning; the monkey takes its own away."""
    hits = [(each, each.name.partition(".hit.")) for each in faults.glob("*.hit.*")]
    return [
        Blow(act=fault(point), role=point.partition(".")[0], pid=int(pid), at=each.stat().st_ctime)
        for each, (point, _, pid) in hits
    ]


def _attack(crowd: Crowd, monkey: Monkey, outing: Outing) -> list[str]:
    crowd.drive(outing.mentions, progress=monkey.progress)
    monkey.finish()
    if monkey.error is not None:
        crowd.errors.append(f"attack: {type(monkey.error).__name__}: {monkey.error}")
    return crowd.errors


def _look(
    api: API, crowd: Crowd, monkey: Monkey, postman: Postman, *, model: LLMServer, outing: Outing
) -> Talked:
    """Wait until nothing is owed any more, then collect the evidence."""
    # What is still open then is in the evidence; who is not answered by then may be in doubt for ever.
    with suppress(AssertionError):
        wait_until(lambda: _is_quiet(api, crowd), within_s=QUIET_WITHIN_S)
    crowd.finish()
    with suppress(AssertionError):
        wait_until(lambda: not any(api.due().values()), within_s=QUIET_WITHIN_S)
    deliveries = api.deliveries()
    sessions = sorted({*api.sessions(), *(room.session for room in crowd.open_rooms if room.session)})
    return Talked(
        asked=crowd.asked,
        attempts=postman.attempts,
        posts={room.session: room.posts() for room in crowd.open_rooms if room.session},
        own=frozenset(crowd.own),
        deliveries=deliveries,
        entries=api.outbox(),
        obligations=api.obligations(),
        sessions=sessions,
        working=[room.session for room in crowd.open_rooms if room.session and room.is_shown_working()],
        has_spool=outing.has_spool,
        base=Evidence(
            acks=acks_of(crowd.asked, deliveries),
            events=collect(api, sessions),
            calls=list(model.requests),
            notes=(),
            blows=monkey.blows,
            statuses={session: api.detail(session) for session in sessions},
            due=api.due(),
        ),
    )


def _is_quiet(api: API, crowd: Crowd) -> bool:
    """Whether all are answered, or the platform has heard of the others and does nothing more for them."""
    left = {crowd.asked[token].key for token in (*crowd.open(), *crowd.lost())}
    if not left:
        return True
    if any(api.due().values()):
        return False
    return left <= {each.key for each in api.deliveries() if each.state != "pending"}


def _environment(outing: Outing, plugins: Path, folder: Path, url: str) -> dict[str, str]:
    timings = ",".join(f"{name}={value:g}" for name, value in outing.timings.items())
    return {
        "TURNWRIGHT_WORKERS": str(outing.workers),
        "TURNWRIGHT_SLOTS": "20",
        "TURNWRIGHT_MODEL": "acme:fake-1",
        "TURNWRIGHT_CONFIG": str(folder / "turnwright.toml"),
        "TURNWRIGHT_SPOOL": "on" if outing.has_spool else "off",
        "TURNWRIGHT_TEST_FAULTS": str(folder / "faults"),
        "PYTHONPATH": str(plugins),
        "ACME_BASE_URL": url,
        "ACME_NOTES": str(folder / "notes"),
    } | ({"TURNWRIGHT_TEST_TIMINGS": timings} if timings else {})
