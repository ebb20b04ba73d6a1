"""Declared triggers, brought into a real store by any number of processes, each with a configuration of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.config import TriggerConfig
from services.errors import TurnwrightError
from services.sessions.declared import Declared
from services.sessions.triggers import Triggers
from services.streams.keys import Keys
from services.streams.log import Log
from services.streams.schedule_events import Definition
from services.streams.store import Store
from tests.fakes.clockwork import AGENTS, HOUR, Clockwork, Room, at
from tests.worker.waiting import wait_until


class Process:
    """One that starts with a configuration."""

    def __init__(self, triggers: Triggers, *configs: TriggerConfig) -> None:
        self.changed: list[tuple[str, str]] = []
        self.failed: list[tuple[str, TurnwrightError]] = []
        self.declared = Declared(
            triggers,
            configs,
            changed=lambda trigger, change: self.changed.append((trigger, change)),
            failed=lambda trigger, error: self.failed.append((trigger, error)),
            retry_s=0.05,
        )


@pytest.fixture
def clock(store_url: str, keys: Keys) -> Iterator[Clockwork]:
    made = Clockwork(store_url, keys)
    yield made
    made.close()


def config(id: str = "nightly", **given: object) -> TriggerConfig:
    times = {} if "at" in given else {"cron": "0 * * * *"}
    return TriggerConfig.model_validate({"id": id, "prompt": "go", **times, **given})


def start(clock: Clockwork, *configs: TriggerConfig) -> Process:
    """A process starts, and is done with it."""
    process = Process(clock.triggers, *configs)
    process.declared.reconcile()
    return process


def shown(clock: Clockwork) -> dict[str, str]:
    return {each.id: each.origin for each in clock.triggers.page().triggers}


def test_what_is_declared_is_added_changed_and_removed(clock: Clockwork) -> None:
    first = start(clock, config("a"), config("b"))
    second = start(clock, config("a", prompt="other"), config("c"))

    assert first.changed == [("a", "defined"), ("b", "defined")]
    assert second.changed == [("a", "defined"), ("c", "defined"), ("b", "removed")]
    assert shown(clock) == {"a": "config", "c": "config"}
    assert clock.triggers.show("b").status == "removed"
    definition = clock.triggers.show("a").definition
    assert definition is not None
    assert definition.prompt == "other"


def test_the_same_configuration_again_changes_nothing(clock: Clockwork) -> None:
    start(clock, config(overlap="allow"))
    clock.pass_time(HOUR)
    clock.work()

    assert start(clock, config(overlap="allow")).changed == []
    assert len(clock.events("trigger.defined")) == 1


def test_what_the_api_defined_is_left_alone_until_it_is_declared(clock: Clockwork) -> None:
    clock.define("mine")
    clock.define("shared", prompt="by hand")
    start(clock, config("shared"))
    assert shown(clock) == {"mine": "api", "shared": "config"}

    start(clock)

    assert shown(clock) == {"mine": "api"}
    clock.define("shared")
    assert shown(clock) == {"mine": "api", "shared": "api"}


def test_one_that_was_taken_over_does_what_was_due_before_as_it_was_then(clock: Clockwork) -> None:
    clock.define(prompt="by hand", overlap="allow")
    clock.pass_time(HOUR)
    start(clock, config(prompt="declared", overlap="allow"))
    clock.work()
    clock.pass_time(HOUR)
    clock.work()

    said = [clock.inputs(f"trigger:nightly:{at(hour)}")[0].text for hour in (10, 11)]
    assert said == ["by hand", "declared"]


def test_two_processes_that_start_at_once_bring_it_once(clock: Clockwork) -> None:
    configs = [config(f"t{number}") for number in range(10)]
    processes = [Process(clock.triggers, *configs) for _ in range(4)]
    threads = [threading.Thread(target=each.declared.reconcile) for each in processes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [each.failed for each in processes] == [[]] * 4
    assert sorted(one for each in processes for one in each.changed) == [
        (f"t{number}", "defined") for number in range(10)
    ]
    for number in range(10):
        assert len(clock.events("trigger.defined", trigger=f"t{number}")) == 1


def test_one_that_can_not_be_is_told_of_and_keeps_back_no_other(clock: Clockwork) -> None:
    process = start(clock, config("wrong", agent="nobody"), config("right"))

    ((trigger, error),) = process.failed
    assert (trigger, "nobody" in str(error)) == ("wrong", True)
    assert process.changed == [("right", "defined")]


def test_a_single_time_that_is_past_is_no_reason_to_fail(clock: Clockwork) -> None:
    process = start(clock, config("new-year", at="2026-01-01T00:00"), config("soon", at="2026-11-20T08:00"))
    clock.work()

    assert process.failed == []
    assert clock.states("soon") == {at(8): "dispatched"}, "within the window it is made good"
    start(clock, config("new-year", at="2026-01-01T00:00"), config("soon", at="2026-11-20T08:00"))
    clock.work()
    assert len(clock.events("tick.queued", trigger="soon")) == 1


def test_what_is_declared_waits_for_a_store_that_is_away_at_the_start(
    clock: Clockwork, store_url: str, tmp_path: Path
) -> None:
    if not store_url.startswith("unix://"):
        pytest.skip("a socket is needed that can come later")
    socket = tmp_path / "s"
    store = Store(f"unix://{socket}", retries=1)
    away = Triggers(Log(store, clock.stage.keys), AGENTS, Room())
    process = Process(away, config())
    process.declared.start()
    wait_until(lambda: len(process.failed) > 2)

    socket.symlink_to(store_url.removeprefix("unix://"))

    wait_until(lambda: process.changed == [("nightly", "defined")])
    process.declared.stop()
    store.close()
    assert shown(clock) == {"nightly": "config"}


def test_who_stops_while_the_store_is_away_leaves_it_to_the_next_start(tmp_path: Path, keys: Keys) -> None:
    store = Store(f"unix://{tmp_path / 's'}", retries=1)
    process = Process(Triggers(Log(store, keys), AGENTS, Room()), config())
    process.declared.start()
    wait_until(lambda: bool(process.failed))

    process.declared.stop()

    wait_until(lambda: not any(each.name == "declared" for each in threading.enumerate()))
    store.close()
    assert process.changed == []


def test_a_removed_declaration_lets_what_waits_go(clock: Clockwork) -> None:
    start(clock, config(overlap="queue"))
    for _ in range(2):
        clock.pass_time(HOUR)
        clock.work()
    assert clock.states()[at(11)] == "due: waits_for_the_one_before"

    start(clock)
    clock.work()

    assert clock.states() == {at(10): "dispatched", at(11): "skipped: removed"}


def test_what_is_declared_is_what_the_api_would_define(clock: Clockwork) -> None:
    given: dict[str, object] = {
        "cron": "30 6 * * 1-5",
        "tz": "Asia/Kathmandu",
        "session": "one",
        "misfire": "all",
        "catch_up_s": 600,
        "overlap": "skip",
        "paused": True,
        "agent": "poet",
        "answer_in": "slack:C1",
    }
    start(clock, config("declared", **given))
    clock.triggers.define("defined", Definition(prompt="go", **given))  # type: ignore[arg-type]  # as given

    one, other = (clock.triggers.show(each) for each in ("declared", "defined"))
    assert one.definition == other.definition
