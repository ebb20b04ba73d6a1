"""The threads beside a worker's tasks outlive what goes wrong in one of their looks."""

from __future__ import annotations

import threading

import pytest

from services.errors import Unavailable
from services.jobs.claims import Claims, JobRow
from services.jobs.orphans import Orphans
from services.jobs.relay import Relay
from services.jobs.running import Running
from services.jobs.wake import Wake
from services.jobs.watchdog import Watchdog
from services.processors.advance import Held
from services.streams.event import JobId, StreamId
from services.streams.keys import Keys
from services.streams.log import Log
from services.streams.store import Store
from tests.fakes.puppet import CREATED, Told, tell
from tests.fakes.store_servers import Console
from tests.fakes.store_stage import LEASE_MS, Hand, NoHints, Stage
from tests.worker.waiting import wait_until

S = StreamId("s")
JOB = JobId("s@1")


class Faulty(Claims):
    """The first look raises what nobody expects."""

    def __init__(self, log: Log, incarnation: str) -> None:
        super().__init__(log, incarnation)
        self.looks = 0

    def look(self, jobs: list[JobId]) -> dict[JobId, JobRow | None]:
        """See `Claims.look`."""
        self.looks += 1
        if self.looks == 1:
            raise RuntimeError("a defect")
        return super().look(jobs)


class Run:
    """A run that can be stopped."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def cancel(self, reason: str) -> None:
        """Remember why."""
        self.reasons.append(reason)


@pytest.fixture
def hand(stage: Stage) -> Hand:
    """A worker that holds a job."""
    made = stage.hand()
    stage.log.append(S, [tell(Told(jobs=("llm:1",)))], create=CREATED)
    made.advancer.advance(S)
    made.take_job("llm", JOB)
    return made


def test_orphans_are_found_after_a_look_that_failed(stage: Stage, hand: Hand) -> None:
    wake = Wake(stage.keys, NoHints(), enabled=False)
    claims = Faulty(stage.log, hand.name)
    orphans = Orphans(
        stage.store, stage.keys, claims, wake, in_hand=lambda: frozenset(), incarnation=hand.name
    )

    orphans.start()

    wait_until(lambda: "llm.attempt_failed" in stage.types(S))
    orphans.stop()


def test_runs_are_stopped_after_a_look_that_failed(stage: Stage, hand: Hand) -> None:
    claims = Faulty(stage.log, hand.name)
    running = Running(stage.store, claims, stage.keys.cancel_channel, notices=True)
    run = Run()
    running.start()

    running.add(Held(kind="llm", id=JOB, stream=S, token=99), run)

    wait_until(lambda: "taken" in run.reasons)
    assert claims.looks > 1
    running.stop()


def test_the_watchdog_bites_after_a_look_that_failed() -> None:
    bitten = threading.Event()
    calls = []

    def stuck(age_s: float) -> None:
        calls.append(age_s)
        if len(calls) == 1:
            raise RuntimeError("a defect")
        bitten.set()

    dog = Watchdog({1: 0.0}, limit_s=-1e9, stuck=stuck)
    dog.EVERY_S = 0.02
    dog.start()

    assert bitten.wait(10)
    dog.stop()


def test_rounds_go_on_after_one_that_raised(stage: Stage) -> None:
    told: list[Exception] = []

    class Failing(Relay):
        def round(self) -> None:
            raise RuntimeError("a defect")

    wake = Wake(stage.keys, NoHints(), enabled=False)
    relay = Failing(stage.store, stage.keys, stage.due, wake, every_s=0.01, failed=told.append)
    relay.start()

    wait_until(lambda: len(told) > 2)
    relay.stop()


def test_a_broken_key_of_one_shard_does_not_keep_the_dead_of_others(
    stage: Stage, hand: Hand, bare: Console
) -> None:
    told: list[Exception] = []
    wake = Wake(stage.keys, NoHints(), enabled=False)
    relay = Relay(stage.store, stage.keys, stage.due, wake, every_s=1, failed=told.append)
    mine = stage.keys.shard(S)
    for shard in range(stage.keys.shards):
        if shard != mine:
            bare.execute_command("SET", stage.keys.held(shard, hand.name), "broken")
    stage.pass_time(LEASE_MS + 1)

    relay.round()

    assert JOB in stage.due_ids("llm")
    assert len(told) == stage.keys.shards - 1


def test_a_tail_that_can_not_begin_leaves_no_connection_behind() -> None:
    store = Store("unix:///nonexistent/store", retries=0)

    for _ in range(3):
        with pytest.raises(Unavailable), Log(store, Keys()).tail(S, after=0):
            pass

    assert store._open == []
