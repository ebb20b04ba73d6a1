"""What is due is looked after by one process first, by all of them soon, and by whoever is left."""

from __future__ import annotations

import msgspec

from services.jobs.census import Census
from services.jobs.incarnation import Heartbeat
from services.jobs.share import Share
from services.streams.keys import KINDS
from tests.fakes.store_stage import Stage

IDS = [f"app:{n}" for n in range(200)]


def alive(stage: Stage, *incarnations: str) -> None:
    """Let these have told of themselves just now, and nobody else."""
    client = stage.store.client
    seconds, micros = client.time()  # type: ignore[attr-defined]  # no command that the product needs
    beat = Heartbeat(kinds=KINDS, slots=50, free=50, processors={}, at=seconds * 1000 + micros // 1000)
    for known in client.hgetall(stage.keys.workers):
        client.hdel(stage.keys.workers, known.decode())
    for each in incarnations:
        client.hset(stage.keys.workers, each, msgspec.json.encode(beat))


def shares(stage: Stage, *incarnations: str) -> list[set[str]]:
    """What each of these would look after first."""
    census = Census(stage.store, stage.keys, alive_s=10)
    return [
        {id for id in IDS if is_ours(id)}
        for is_ours in (Share(census, each).chooser() for each in incarnations)
    ]


def test_every_id_is_in_exactly_one_share(stage: Stage) -> None:
    alive(stage, "a", "b", "c")
    first, second, third = shares(stage, "a", "b", "c")

    assert first | second | third == set(IDS)
    assert len(first) + len(second) + len(third) == len(IDS)
    assert min(map(len, (first, second, third))) > 30


def test_who_is_left_looks_after_everything(stage: Stage) -> None:
    alive(stage, "b")
    assert shares(stage, "b") == [set(IDS)]


def test_who_is_not_counted_yet_looks_after_everything(stage: Stage) -> None:
    alive(stage, "b")
    assert shares(stage, "newcomer") == [set(IDS)]
