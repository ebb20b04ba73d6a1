"""Who is guilty of a crash: processors in which processes ended, not those that are merely run at the same time."""

from __future__ import annotations

from services.processors.isolation import ENDED_RUNS, Isolation
from services.streams.event import StreamId
from tests.fakes.store_stage import LEASE_MS, Stage

BUSY = StreamId("app:busy")


def _run_until(stage: Stage, processor: str, *, worker: str) -> dict[str, int]:
    """An isolated run that is at `processor` and does not come back; who was guilty when it began."""
    stage.hand(worker)
    run = Isolation(stage.store, stage.keys, BUSY, worker)
    guilty = run.begin()
    run.watch("harmless", 6)
    run.watch(processor, 7)
    return guilty


def test_a_processor_in_which_three_processes_ended_is_guilty(stage: Stage) -> None:
    for i in range(ENDED_RUNS):
        assert _run_until(stage, "brittle", worker=f"worker-{i}") == {}
        stage.pass_time(LEASE_MS + 1)

    assert _run_until(stage, "brittle", worker="worker-last") == {"brittle": 7}


def test_runs_of_living_workers_at_the_same_time_make_nobody_guilty(stage: Stage) -> None:
    for i in range(3 * ENDED_RUNS):
        assert _run_until(stage, "agent", worker=f"worker-{i}") == {}


def test_two_that_see_the_same_ended_run_count_it_once(stage: Stage) -> None:
    for i in range(ENDED_RUNS - 1):
        _run_until(stage, "brittle", worker=f"worker-{i}")
        stage.pass_time(LEASE_MS + 1)
    stage.hand("first")
    stage.hand("second")

    seen = [Isolation(stage.store, stage.keys, BUSY, name).begin() for name in ("first", "second")]

    assert seen == [{}, {}]


def test_a_commit_forgets_earlier_ends(stage: Stage) -> None:
    for i in range(ENDED_RUNS):
        _run_until(stage, "brittle", worker=f"worker-{i}")
        stage.pass_time(LEASE_MS + 1)
    stage.hand("lucky")
    run = Isolation(stage.store, stage.keys, BUSY, "lucky")
    assert run.begin() == {"brittle": 7}

    run.end(committed=True)

    assert Isolation(stage.store, stage.keys, BUSY, "lucky").begin() == {}
