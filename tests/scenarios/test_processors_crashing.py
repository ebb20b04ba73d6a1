"""A plugin that takes the process down on many sessions at once is parked before a supervisor gives workers up."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.chaos.machine import ROOT, TOKEN, Machine
from tests.scenarios.platform import installed_site
from tests.worker.waiting import wait_until

CONFIG = "".join(
    f'[[processors]]\nname = "{name}"\nstreams = "app:poisoned-*"\n\n' for name in ("brittle", "tally")
)
SESSIONS = [f"app:poisoned-{n}" for n in range(5)]


@pytest.fixture
def machine(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    config = tmp_path / "turnwright.toml"
    config.write_text(CONFIG)
    site = installed_site(tmp_path_factory)
    made = Machine(
        tmp_path,
        {
            "TURNWRIGHT_CONFIG": str(config),
            "TURNWRIGHT_WORKERS": "2",
            "TURNWRIGHT_SLOTS": "10",
            "PYTHONPATH": f"{site}{os.pathsep}{ROOT}",
            # Shorter than in life, and the harder for it: the same stream is taken again sooner.
            "TURNWRIGHT_TEST_TIMINGS": "take_grace_s=3",
        },
    )
    made.start()
    yield made
    made.stop()


@pytest.fixture
def http(machine: Machine) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx2.Client(base_url=machine.url, headers=headers, timeout=30, trust_env=False) as client:
        yield client


def types(http: httpx2.Client, session: str) -> list[str]:
    page = http.get(f"/api/sessions/{session}/events", params={"limit": "500"}).json()
    return [event["type"] for event in page["events"]]


def say(http: httpx2.Client, *texts: str) -> None:
    for session in SESSIONS:
        for text in texts:
            answer = http.post("/api/prompts", json={"text": text, "session": session})
            assert answer.status_code == 202, answer.text


def have(http: httpx2.Client, *wanted: str) -> bool:
    return all(set(wanted) <= set(types(http, session)) for session in SESSIONS)


def test_many_poisoned_sessions_end_with_the_plugin_parked_and_every_role_up(
    machine: Machine, http: httpx2.Client
) -> None:
    say(http, "fine", "magic:die", "fine again")
    wait_until(lambda: have(http, "processor.faulted", "turn.settled"), within_s=90)

    # The others go on: three more inputs are something to tell of, whenever `tally` was attached.
    say(http, "one", "two", "three")
    wait_until(lambda: have(http, "tally.counted"), within_s=30)
    logs = [types(http, session) for session in SESSIONS]
    assert [each.count("processor.faulted") for each in logs] == [1] * len(SESSIONS)
    assert machine.down() == []
    # Three tell whose fault it is; each of the two may have been in several runs at once before the first ended.
    assert sum(machine.deaths(f"worker-{n}") for n in (1, 2)) <= 5
