"""Triggers with real processes and no beat: due by the clock, each tick answered once whatever dies on its way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from services.streams.vocabulary import InputReceived
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.scenarios.vendor import Gate
from tests.worker.waiting import wait_until

Tick = dict[str, Any]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    setup = Setup(site=installed_site(tmp_path_factory), workers_may_die=True)
    with running_platform(tmp_path_factory.mktemp("triggers"), setup) as made:
        yield made
        made.wait_ready(workers=1)


@pytest.fixture(autouse=True)
def _all_run(platform: Platform) -> None:
    platform.wait_ready(workers=1)


def define(platform: Platform, trigger: str, **given: object) -> None:
    times = {} if "at" in given else {"cron": "0 0 1 1 *"}
    body = {"prompt": f"this is {trigger}", **times, **given}
    answer = platform.http.put(f"/api/triggers/{trigger}", json=body)
    assert answer.status_code == 200, answer.text


def fire(platform: Platform, trigger: str) -> str:
    answer = platform.http.post(f"/api/triggers/{trigger}/fire", json={})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["tick"])


def soon() -> int:
    """In a second or two."""
    return (int(time.time()) + 2) * 1000


def ticks(platform: Platform, trigger: str) -> dict[str, Tick]:
    """The ledger, oldest first."""
    found = platform.http.get(f"/api/triggers/{trigger}/ticks").json()["ticks"]
    return {each["tick"]: each for each in reversed(found)}


def wait_for(platform: Platform, trigger: str, tick: str = "", **wanted: str) -> Tick:
    """The tick, or the only one, once it is as wanted; who died meanwhile is started anew."""
    seen: list[Tick] = []

    def check() -> bool:
        platform.revive()
        rows = ticks(platform, trigger)
        seen[:] = [rows[tick]] if tick in rows else list(rows.values())[:1]
        return bool(seen) and all(seen[0][name] == value for name, value in wanted.items())

    try:
        wait_until(check, within_s=40)
    except AssertionError:
        raise AssertionError(f"{seen} is not {wanted}") from None
    return seen[0]


def inputs(platform: Platform, session: str) -> list[str]:
    said = Session(platform, id=session).all("input.received", InputReceived)
    return [each.text for each in said]


def test_a_single_time_is_kept_and_what_the_session_made_of_it_comes_back(platform: Platform) -> None:
    at = soon()
    define(platform, "once", at=at)

    tick = wait_for(platform, "once", outcome="answered")

    assert tick["due"] == at
    assert at <= tick["recorded_at"] <= tick["claimed_at"] <= tick["dispatched_at"]
    assert inputs(platform, tick["session"]) == ["this is once"]
    shown = platform.http.get("/api/triggers/once").json()
    assert (shown["status"], shown["next"], shown["open"]) == ("done", None, 0)


def test_what_was_due_while_nobody_ran_is_done_by_whoever_starts(platform: Platform) -> None:
    at = soon()
    platform.parts["worker-1"].kill()
    define(platform, "missed", at=at)
    wait_until(lambda: time.time() * 1000 > at)
    assert [each["reason"] for each in ticks(platform, "missed").values()] == ["nobody_looked_yet"]

    platform.start_worker("worker-1")

    assert wait_for(platform, "missed", outcome="answered")["attempts"] == 1


@pytest.mark.parametrize("point", ["tick.claimed", "tick.appended"])
def test_a_worker_killed_on_the_way_leaves_exactly_one_input(platform: Platform, point: str) -> None:
    trigger = point.replace(".", "-")
    define(platform, trigger)
    died = platform.arm(point)

    tick = fire(platform, trigger)
    wait_until(died)
    row = wait_for(platform, trigger, tick, outcome="answered")

    assert row["attempts"] == 2
    assert inputs(platform, row["session"]) == [f"this is {trigger}"]


@pytest.mark.parametrize("point", ["advance.committed", "llm.answered", "llm.settled"])
def test_a_worker_killed_while_the_session_answers_tells_the_outcome_once(
    platform: Platform, point: str
) -> None:
    trigger = point.replace(".", "-")
    define(platform, trigger, overlap="queue", session="one")
    gate = platform.vendor.hold(f"trigger:{trigger}")
    first = fire(platform, trigger)
    gate.wait_entered()
    died = platform.arm(point)
    second = fire(platform, trigger)

    gate.open()
    wait_until(died)

    assert wait_for(platform, trigger, first, state="dispatched", outcome="answered")
    assert wait_for(platform, trigger, second, state="dispatched", outcome="answered")
    assert len(inputs(platform, f"trigger:{trigger}")) == 2
    events = Session(platform, id=f"schedule:{trigger}").events("tick.settled")
    assert len(events) == 2


def test_a_paused_session_gets_its_ticks_in_order_once_it_is_resumed(platform: Platform) -> None:
    define(platform, "ordered", session="one", overlap="allow", prompt="{tick}")
    session = Session(platform, id="trigger:ordered")
    made = [fire(platform, "ordered")]
    wait_for(platform, "ordered", made[0], outcome="answered")
    assert session.command("pause") == 202

    made += [fire(platform, "ordered") for _ in range(3)]
    wait_for(platform, "ordered", made[1], state="released", reason="paused")
    assert [ticks(platform, "ordered")[each]["state"] for each in made[2:]] == ["due", "due"]
    assert session.command("resume") == 202

    for each in made:
        wait_for(platform, "ordered", each, outcome="answered")
    assert inputs(platform, "trigger:ordered") == made


def test_a_removed_trigger_leaves_what_is_answered_right_now_alone(platform: Platform) -> None:
    define(platform, "removed", session="one")
    gate: Gate = platform.vendor.hold("trigger:removed")
    running = fire(platform, "removed")
    gate.wait_entered()
    waiting = fire(platform, "removed")
    wait_for(platform, "removed", waiting, state="due", reason="waits_for_the_one_before")

    assert platform.http.delete("/api/triggers/removed").status_code == 200
    wait_for(platform, "removed", waiting, state="skipped", reason="removed")
    gate.open()

    wait_for(platform, "removed", running, state="dispatched", outcome="answered")
    assert platform.http.get("/api/triggers/removed").json()["status"] == "removed"
    assert len(inputs(platform, "trigger:removed")) == 1
