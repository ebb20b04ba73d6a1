"""A worker dies at each named point while it has something in hand, and web between append and answer.

Each time the turn is answered once, a vendor is asked no more often than it must be, and a tool that
may have had its effect is not run again.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.faults import POINTS
from tests.chaos.api import API, Accepted, Event
from tests.chaos.machine import TOKEN, Machine
from tests.chaos.vendor import Vendor
from tests.fakes.callback_server import CallbackServer
from tests.fakes.llm_server import LLMServer
from tests.scenarios.platform import installed_site
from tests.worker.waiting import wait_until

ANSWERED_WITHIN_S = 30.0
# Proof of death makes what the dead held due within two seconds; the lease would end after a minute and a half, so that
# a busy machine is not taken for a missing proof.
LEASE_TTL_S = 90
RESUMED_WITHIN_S = 25.0
DEATHS = 3

pytestmark = pytest.mark.timeout(120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """What follows from a death at `point` in a turn that asks for `tool`.

    `asked`: vendor calls for the first request, of which the first may fail as `fails` says. `notes`: lines the
    writing tool wrote.
    """

    point: str
    tool: str
    asked: int
    tool_outcome: str
    tool_starts: int
    notes: int = 0
    fails: str = ""


CRASHES = (
    Crash(
        point="advance.taken", tool="append_note", asked=1, tool_outcome="succeeded", tool_starts=1, notes=1
    ),
    Crash(
        point="advance.committed",
        tool="append_note",
        asked=1,
        tool_outcome="succeeded",
        tool_starts=1,
        notes=1,
    ),
    Crash(point="llm.claimed", tool="append_note", asked=1, tool_outcome="succeeded", tool_starts=1, notes=1),
    Crash(
        point="llm.streaming", tool="append_note", asked=2, tool_outcome="succeeded", tool_starts=1, notes=1
    ),
    Crash(point="llm.asking", tool="append_note", asked=1, tool_outcome="succeeded", tool_starts=1, notes=1),
    Crash(
        point="llm.failed",
        tool="append_note",
        asked=2,
        tool_outcome="succeeded",
        tool_starts=1,
        notes=1,
        fails="busy",
    ),
    Crash(
        point="llm.answered", tool="append_note", asked=2, tool_outcome="succeeded", tool_starts=1, notes=1
    ),
    Crash(point="llm.settled", tool="look_up", asked=1, tool_outcome="succeeded", tool_starts=2),
    Crash(point="tool.claimed", tool="look_up", asked=1, tool_outcome="succeeded", tool_starts=2),
    Crash(point="tool.claimed", tool="append_note", asked=1, tool_outcome="interrupted", tool_starts=2),
    Crash(point="tool.ran", tool="look_up", asked=1, tool_outcome="succeeded", tool_starts=2),
    Crash(point="tool.ran", tool="append_note", asked=1, tool_outcome="interrupted", tool_starts=2, notes=1),
)

# Requests to the callback, all under one id.
DELIVERIES = (("deliver.claimed", 1), ("deliver.sent", 2))


class Scene:
    """A running platform whose processes can be made to die, and what it did."""

    def __init__(self, folder: Path, plugins: Path, fake: LLMServer) -> None:
        self.faults, self.notes = folder / "faults", folder / "notes"
        self.faults.mkdir()
        self.fake = fake
        self._keys = itertools.count(1)
        self.machine = Machine(
            folder,
            {
                "TURNWRIGHT_WORKERS": "2",
                "TURNWRIGHT_SLOTS": "12",
                "TURNWRIGHT_MODEL": "acme:fake-1",
                "TURNWRIGHT_TEST_FAULTS": str(self.faults),
                "TURNWRIGHT_TEST_TIMINGS": f"take_grace_s=2,lease_ttl_s={LEASE_TTL_S}",
                "PYTHONPATH": str(plugins),
                "TURNWRIGHT_CALLBACK_ALLOW": "127.0.0.1",
                "ACME_BASE_URL": fake.url,
                "ACME_NOTES": str(self.notes),
            },
        )
        self.api = API(self.machine.url, TOKEN)

    def prompt_that_meets(self, point: str, text: str, callback: str = "") -> tuple[Accepted, float]:
        """Arm `point`, send a prompt, wait until somebody died there; when that was (epoch seconds)."""
        (self.faults / point).touch()
        wanted = {"callback": callback} if callback else {}
        accepted = self.api.prompt(text, key=f"crash-{next(self._keys)}", fields=wanted)
        wait_until(lambda: any(self.faults.glob(f"{point}.hit.*")), within_s=ANSWERED_WITHIN_S)
        hit = next(self.faults.glob(f"{point}.hit.*"))
        died_at = hit.stat().st_ctime
        hit.unlink()
        return accepted, died_at

    def settled(self, session: str) -> list[Event]:
        """The events of a session once its turn is settled."""
        wait_until(
            lambda: any(event.type == "turn.settled" for event in self.api.events(session)),
            within_s=ANSWERED_WITHIN_S,
        )
        return self.api.events(session)

    def asked(self, session: str) -> list[str]:
        """The jobs the vendor was called for, in order."""
        return [call.asked.job for call in list(self.fake.requests) if call.asked.session == session]

    def notes_of(self, session: str) -> int:
        """How many lines the writing tool wrote for a session."""
        lines = self.notes.read_text(encoding="utf-8").splitlines() if self.notes.exists() else []
        return sum(line.startswith(f"{session}\t") for line in lines)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One platform for the module."""
    plugins = installed_site(tmp_path_factory)
    with LLMServer(respond=Vendor().respond) as fake:
        scene = Scene(tmp_path_factory.mktemp("crash"), plugins, fake)
        try:
            scene.machine.start()
            yield scene
        finally:
            scene.machine.stop()
            scene.api.close()


@pytest.fixture
def scene(scenes: Scene) -> Scene:
    """The platform, started anew before a role comes near the deaths that end it."""
    machine = scenes.machine
    if any(machine.deaths(name) >= DEATHS for name in machine.pids()):
        machine.restart()
    wait_until(lambda: {"worker-1", "worker-2", "web"} <= set(machine.pids()))
    return scenes


@pytest.mark.parametrize("crash", CRASHES, ids=lambda crash: f"{crash.point}-{crash.tool}")
def test_a_turn_survives_the_death_of_its_worker_at(scene: Scene, crash: Crash) -> None:
    fails = f" fail:{crash.fails}" if crash.fails else ""
    accepted, died_at = scene.prompt_that_meets(crash.point, f"p use:{crash.tool}{fails}")
    events = scene.settled(accepted.session)

    assert [e.payload["inputs"] for e in events if e.type == "turn.settled"] == [[accepted.offset]]
    assert [e.payload["outcome"] for e in events if e.type == "turn.settled"] == ["answered"]
    assert scene.asked(accepted.session).count(f"{accepted.session}@1") == crash.asked
    assert [e.payload["outcome"] for e in events if e.type == "tool.settled"] == [crash.tool_outcome]
    assert sum(e.type == "tool.started" for e in events) == crash.tool_starts
    assert scene.notes_of(accepted.session) == crash.notes
    later = min(e.created_at / 1000 for e in events if e.created_at / 1000 > died_at)
    assert later - died_at < RESUMED_WITHIN_S


def test_a_prompt_whose_answer_was_lost_with_web_is_found_again_by_its_key(scene: Scene) -> None:
    accepted, _ = scene.prompt_that_meets("web.appended", "p")
    events = scene.settled(accepted.session)

    assert scene.api.repeats > 0
    assert [e.offset for e in events if e.type == "input.received"] == [accepted.offset]
    assert [e.payload["inputs"] for e in events if e.type == "turn.settled"] == [[accepted.offset]]


@pytest.mark.parametrize(("point", "letters"), DELIVERIES)
def test_a_reply_survives_the_death_of_who_delivers_it(scene: Scene, point: str, letters: int) -> None:
    with CallbackServer() as told:
        accepted, died_at = scene.prompt_that_meets(point, "p", callback=f"{told.url}/hook")
        wait_until(
            lambda: any(e.type == "reply.delivered" for e in scene.api.events(accepted.session)),
            within_s=ANSWERED_WITHIN_S,
        )

    events = scene.api.events(accepted.session)
    [delivered] = [e.created_at / 1000 for e in events if e.type == "reply.delivered"]
    assert delivered - died_at < RESUMED_WITHIN_S
    assert [e.payload["attempt"] for e in events if e.type == "reply.started"] == [1, 2]
    assert (len(told.received), len({each.id for each in told.received})) == (letters, 1)


def test_there_is_a_crash_for_every_point() -> None:
    met = {crash.point for crash in CRASHES} | {point for point, _ in DELIVERIES} | {"web.appended"}
    assert met == set(POINTS)
