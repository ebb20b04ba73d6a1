"""Committing: by revision and never by head, all of it or nothing, whatever others append meanwhile."""

from __future__ import annotations

import threading

import msgspec
import pytest

from services.errors import Conflict
from services.processors.advance import Held
from services.processors.contract import Contract
from services.processors.rows import rows_of
from services.streams.event import EventInput, JobId, StreamId
from tests.fakes.puppet import CREATED, Did, Ending, Puppet, Seen, Told, outcome_of, tell
from tests.fakes.store_stage import Stage

S = StreamId("s")


OUTCOME = outcome_of(JobId("s@1"))


class NewerPuppet(Puppet):
    """The puppet of a later release."""

    contract = Contract(
        name="puppet", version=2, consumes=Puppet.contract.consumes, emits=Puppet.contract.emits
    )


def answered(stage: Stage, stream: StreamId = S) -> list[int]:
    """Which offsets were reacted to, in order."""
    return [event.decode(Did).of for event in stage.events(stream) if event.type == "puppet.did"]


def told(stage: Stage, stream: StreamId = S) -> list[int]:
    """The offsets that ask for a reaction."""
    return [event.offset for event in stage.events(stream) if event.type == "puppet.told"]


def _held() -> Held:
    return Held(kind="llm", id=JobId("s@1"), stream=S, token=1)


def state(stage: Stage, stream: StreamId = S) -> Seen:
    """The puppet's state."""
    return msgspec.json.decode(stage.log.load(stream).fields["s:puppet"], type=Seen)


def test_a_commit_writes_what_follows_and_moves_the_checkpoint_behind_it(stage: Stage) -> None:
    stage.log.append(S, [tell(), tell()], create=CREATED)

    advanced = stage.hand().advancer.advance(S)

    loaded = stage.log.load(S)
    assert (loaded.at, loaded.head, loaded.rev) == (5, 5, 1)
    assert answered(stage) == [2, 3]
    assert not advanced.behind
    assert stage.due_ids("advance") == {}


def test_a_commit_leaves_nothing_due_but_its_timer(stage: Stage) -> None:
    now = stage.log.append(S, [tell()], create=CREATED).now
    stage.log.append(S, [tell(Told(wake=now + 60_000))])

    stage.hand().advancer.advance(S)

    assert 50_000 < stage.due_ids("advance")[S] <= 60_000


def test_a_timer_that_is_over_is_acted_upon_once(stage: Stage) -> None:
    now = stage.log.append(S, [tell()], create=CREATED).now
    stage.log.append(S, [tell(Told(wake=now + 60_000))])
    advancer = stage.hand().advancer
    advancer.advance(S)
    assert "puppet.woke" not in stage.types(S)

    stage.pass_time(60_001)
    advancer.advance(S)
    advancer.advance(S)

    assert stage.types(S).count("puppet.woke") == 1
    assert stage.due_ids("advance") == {}


def test_of_two_that_advance_one_stream_the_slower_starts_over(stage: Stage) -> None:
    stage.log.append(S, [tell()], create=CREATED)
    hand = stage.hand()
    rival = Stage(stage.url, stage.keys)

    with stage.between("commit", lambda: rival.hand("rival").advancer.advance(S)):
        hand.advancer.advance(S)

    rival.close()
    assert answered(stage) == told(stage)
    assert stage.log.load(S).rev == 2


def test_events_that_came_during_a_commit_are_reacted_to_and_its_own_are_not_again(stage: Stage) -> None:
    stage.log.append(S, [tell(Told(emit=2))], create=CREATED)
    advancer = stage.hand().advancer

    with stage.between("commit", lambda: stage.log.append(S, [tell()])):
        first = advancer.advance(S)
    between = stage.log.load(S)
    advancer.advance(S)

    assert first.behind
    assert (between.at, between.own) == (2, (4, 6))
    assert stage.log.load(S).own == (0, 0)
    assert answered(stage) == [2, 2, 2, 3]
    assert state(stage) == Seen(told=2, told_sum=5, did=4, did_sum=9)


def test_own_events_over_many_pages_are_read_before_anything_is_reacted_to(stage: Stage) -> None:
    stage.log.append(S, [tell(Told(emit=100))], create=CREATED)
    advancer = stage.hand().advancer

    with stage.between("commit", lambda: stage.log.append(S, [tell()] * 120)):
        advancer.advance(S)
    while advancer.advance(S).behind:
        pass

    assert sorted(answered(stage)) == sorted([2] * 101 + told(stage)[1:])
    assert state(stage).did == len(answered(stage))


def test_a_stream_that_is_appended_to_all_the_time_is_reduced_all_the_same(stage: Stage) -> None:
    stage.log.append(S, [tell()], create=CREATED)
    stop = threading.Event()
    appended = 0

    def append() -> None:
        nonlocal appended
        while not stop.is_set():
            stage.log.append(S, [tell()])
            appended += 1

    thread = threading.Thread(target=append)
    thread.start()
    advancer = stage.hand().advancer
    revs = 0
    while revs < 40:
        advancer.advance(S)
        revs = stage.log.load(S, limit=0).rev
    during = appended
    stop.set()
    thread.join()
    while advancer.advance(S).behind:
        pass

    assert during > 0
    assert answered(stage) == told(stage)
    assert state(stage).told == appended + 1


def test_a_commit_that_names_a_job_somebody_settled_is_refused_and_decided_anew(stage: Stage) -> None:
    hand = stage.hand()
    stage.log.append(S, [tell(Told(jobs=("llm:1",)))], create=CREATED)
    hand.advancer.advance(S, hand.claimer())
    standing = hand.advancer.stand(S)
    held = _held()
    hand.advancer.settle(held, [OUTCOME], standing)
    stage.log.append(S, [tell(Told(settle=(Ending("llm", "1", 1),)))])

    with pytest.raises(Conflict, match="job_settled"):
        hand.advancer.advance(S)


def test_a_commit_settles_an_open_job_and_its_holder_comes_too_late(stage: Stage) -> None:
    hand = stage.hand()
    stage.log.append(S, [tell(Told(jobs=("llm:1",)))], create=CREATED)
    hand.advancer.advance(S, hand.claimer())
    stage.log.append(S, [tell(Told(settle=(Ending("llm", "1", 1),)))])
    hand.advancer.advance(S)

    held = _held()

    assert hand.advancer.settle(held, [OUTCOME], None) is None
    assert "llm.settled" not in stage.types(S)
    assert stage.due.sizes()["llm"] == 0


def test_a_job_that_is_there_already_is_not_made_again(stage: Stage) -> None:
    advancer = stage.hand().advancer
    stage.log.append(S, [tell(Told(jobs=("llm:1",)))], create=CREATED)
    advancer.advance(S)
    stage.log.append(S, [tell(Told(jobs=("llm:1",)))])

    with pytest.raises(Conflict, match="job_exists"):
        advancer.advance(S)

    assert stage.log.load(S).rev == 1


def test_a_cancel_of_a_job_nobody_knows_leaves_nothing_behind(stage: Stage) -> None:
    stage.log.append(S, [tell(Told(cancel=("ghost",)))], create=CREATED)

    hand = stage.hand()
    hand.advancer.advance(S)

    assert hand.claims.look([JobId("s@ghost")]) == {"s@ghost": None}


def test_what_a_commit_owes_another_stream_arrives_there_in_order(stage: Stage) -> None:
    stage.log.append(S, [tell(Told(to=("t", "u", "t"))), tell(Told(to=("t",)))], create=CREATED)
    stage.hand().advancer.advance(S)
    assert stage.due_ids("deliver")[S] <= 0

    stage.deliverer.run(S)
    stage.deliverer.run(S)

    texts = [e.decode(Told).text for e in stage.events(StreamId("t")) if e.type == "puppet.told"]
    assert texts == ["from 2", "from 2", "from 3"]
    assert len(told(stage, StreamId("u"))) == 1
    assert stage.due_ids("deliver") == {}


def test_a_processor_of_a_higher_version_folds_the_stream_anew_and_decides_nothing(stage: Stage) -> None:
    stage.log.append(S, [tell(), tell(Told(emit=3)), tell()], create=CREATED)
    stage.hand().advancer.advance(S)
    before, head = state(stage), stage.log.head(S)

    newer = Stage(stage.url, stage.keys, processors=[NewerPuppet()])
    stage.log.append(S, [EventInput(type="unrelated", payload=tell().payload)])
    newer.hand("newer").advancer.advance(S)

    assert state(stage) == before
    assert stage.log.head(S) == head + 1
    assert rows_of(dict(stage.log.load(S).fields))["puppet"].version == 2
    newer.close()
