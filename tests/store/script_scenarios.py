"""One call of every script, with what has to be there before: the same at every server and every fault."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from services.errors import KeyReused
from services.processors.advance import Held
from services.streams.event import EventInput, JobId, StreamId
from services.streams.inbound_events import InboundReceived
from services.streams.vocabulary import LLMSettled, StreamPaused, StreamResumed
from tests.fakes.puppet import CREATED, Ending, Told, outcome_of, tell
from tests.fakes.store_stage import LEASE_MS, Stage

S = StreamId("s")
OTHER = StreamId("t")
Act = Callable[[Stage], object]


class Scenario(msgspec.Struct, frozen=True):
    """`prepare` reaches a state; `act` is the one call of `script` from there."""

    script: str
    prepare: Act
    act: Act


def _nothing(stage: Stage) -> None:
    return None


def _session(stage: Stage) -> None:
    stage.log.append(S, [tell(key="old"), tell()], create=CREATED)


def _create(stage: Stage) -> object:
    return stage.log.append(S, [tell(key="a"), tell(), tell(key="c")], create=CREATED)


def _append_beside_a_known_one(stage: Stage) -> object:
    return stage.log.append(S, [tell(key="old"), tell(key="a"), tell(key="b")])


def _append_across(stage: Stage) -> object:
    return stage.log.append(S, [tell(key="a")], source=("t", 1))


def _append_large(stage: Stage) -> object:
    return stage.log.append(S, [tell(Told(text="x" * 100_000), key="a"), tell()])


def _append_deliveries(stage: Stage) -> object:
    received = InboundReceived(source="shop", kind="order", body="{}")
    events = [EventInput.of("inbound.received", received, key=key) for key in ("a", "b")]
    return stage.log.append(StreamId("inbound:shop"), events, create=CREATED, existing_wins=True)


def _refused_across(stage: Stage) -> object:
    changed = tell(Told(text="changed"), key="old")
    try:
        return stage.log.append(S, [changed], source=("t", 1))
    except KeyReused:
        return "refused"


def _busy(stage: Stage) -> None:
    """Jobs in every state: `held` claimed, `free` due, another paused afterwards and parked."""
    hand = stage.hand()
    stage.log.append(S, [tell(Told(jobs=("llm:held", "llm:free", "tool:spare")))], create=CREATED)
    hand.advancer.advance(S, hand.claimer_of("held"))


def _told_everything(stage: Stage) -> None:
    _busy(stage)
    told = Told(
        emit=3,
        size=70_000,
        jobs=("llm:new", "tool:later", "deliver:x.1", "deliver:x.2", "deliver:y.1"),
        settle=(Ending("llm", "free", 0),),
        cancel=("held",),
        to=("t", "u", "t"),
        wake=9_999_999_999_999,
    )
    stage.log.append(S, [tell(told), tell(), tell(Told(pause="enough"))])


def _commit(stage: Stage) -> object:
    hand = stage.hand(born=False)
    return hand.advancer.advance(S, hand.claimer_of("new")).claimed


def _commit_nothing_new(stage: Stage) -> object:
    return stage.hand(born=False).advancer.advance(S).claimed


def _held() -> Held:
    return Held(kind="llm", id=JobId("s@held"), stream=S, token=1)


OUTCOME = (EventInput.of("llm.settled", LLMSettled(job="s@held", outcome="succeeded", text="y" * 70_000)),)


def _settle_with_commit(stage: Stage) -> object:
    advancer = stage.hand(born=False).advancer
    done = advancer.settle(_held(), OUTCOME, advancer.stand(S))
    return None if done is None else done.behind


def _settle_alone(stage: Stage) -> object:
    done = stage.hand(born=False).advancer.settle(_held(), OUTCOME, None)
    return None if done is None else done.behind


def _claim(stage: Stage) -> object:
    return stage.hand(born=False).claims.claim("tool", JobId("s@spare"), effect="read_only")


def _paused(stage: Stage) -> None:
    _busy(stage)
    _pause(stage)


def _pause(stage: Stage) -> object:
    return stage.log.gate(S, EventInput.of("stream.paused", StreamPaused(reason="r")), paused="r")


def _with_parked_jobs(stage: Stage) -> None:
    _paused(stage)
    _claim(stage)
    stage.hand(born=False).claims.claim("llm", JobId("s@free"))


def _resume(stage: Stage) -> object:
    return stage.log.gate(S, EventInput.of("stream.resumed", StreamResumed()), paused=None)


def _release(stage: Stage) -> object:
    return stage.hand(born=False).claims.release(_held(), error="overloaded", delay_ms=500, free=True)


def _take(stage: Stage) -> object:
    return stage.due.take("llm", stage.keys.shard(S), most=5, hinted="s@free")


def _take_up(stage: Stage) -> object:
    return stage.log.take_up(S, grace_ms=10_000)


def _taken(stage: Stage) -> None:
    _busy(stage)
    _take(stage)


def _give_back(stage: Stage) -> object:
    stage.due.give_back("llm", stage.keys.shard(S), ["s@free"])
    return None


def _replying(stage: Stage) -> None:
    """Deliveries: `x.1` claimed with `x.2` and `x.3` behind it, `y.1` due."""
    hand = stage.hand()
    jobs = ("deliver:x.1", "deliver:x.2", "deliver:x.3", "deliver:y.1")
    stage.log.append(S, [tell(Told(jobs=jobs))], create=CREATED)
    hand.advancer.advance(S, hand.claimer_of("x.1"))


def _claim_delivery(stage: Stage) -> object:
    return stage.hand(born=False).claims.claim("deliver", JobId("s@y.1"), effect="external")


def _sent() -> Held:
    return Held(kind="deliver", id=JobId("s@x.1"), stream=S, token=1, destination="x")


def _settle_delivery(stage: Stage) -> object:
    advancer = stage.hand(born=False).advancer
    done = advancer.settle(_sent(), (outcome_of(JobId("s@x.1"), "deliver"),), advancer.stand(S))
    return None if done is None else done.behind


def _fail_delivery(stage: Stage) -> object:
    failed = outcome_of(JobId("s@x.1"), "deliver", reply="failed")
    done = stage.hand(born=False).advancer.settle(_sent(), (failed,), None)
    return None if done is None else done.behind


def _withdrawing(stage: Stage) -> None:
    _replying(stage)
    stage.log.append(S, [tell(Told(settle=(Ending("deliver", "x.2", 0), Ending("deliver", "y.1", 0))))])


def _release_delivery(stage: Stage) -> object:
    return stage.hand(born=False).claims.release(_sent(), error="overloaded", delay_ms=500)


def _reap(stage: Stage) -> object:
    return stage.relay.reap(stage.keys.shard(S), "hand", proven=True)


def _renew(stage: Stage) -> object:
    shard = stage.keys.shard(S)
    return stage.store.raw(
        "renew", [stage.keys.leases(shard), stage.keys.clock(shard)], ["hand", LEASE_MS, "0"]
    )


def _owing(stage: Stage) -> None:
    _told_everything(stage)
    _commit(stage)
    stage.due.take("deliver", stage.keys.shard(S), most=1)


def _deliver(stage: Stage) -> object:
    keys, shard = stage.keys, stage.keys.shard(S)
    names = [
        keys.outbox(S),
        keys.due(shard, "deliver"),
        keys.clock(shard),
        keys.takes(shard, "deliver"),
    ]
    return stage.store.raw("delivered", names, [S, 100, "1-0", "2-0"])


SCENARIOS = {
    "append to a new stream": Scenario("append", _nothing, _create),
    "append beside a known key": Scenario("append", _session, _append_beside_a_known_one),
    "append from another stream": Scenario("append", _session, _append_across),
    "append a large body": Scenario("append", _session, _append_large),
    "append deliveries": Scenario("append", _nothing, _append_deliveries),
    "refuse another stream for good": Scenario("append", _session, _refused_across),
    "commit everything there is": Scenario("commit", _told_everything, _commit),
    "commit for the first time": Scenario("commit", _session, _commit_nothing_new),
    "commit nothing but a checkpoint": Scenario("commit", _with_parked_jobs, _commit_nothing_new),
    "settle with the next commit": Scenario("settle", _told_everything, _settle_with_commit),
    "settle alone": Scenario("settle", _told_everything, _settle_alone),
    "claim a job": Scenario("claim", _busy, _claim),
    "claim a job of a paused stream": Scenario("claim", _paused, _claim),
    "claim a delivery": Scenario("claim", _replying, _claim_delivery),
    "settle a delivery others wait behind": Scenario("settle", _replying, _settle_delivery),
    "settle a delivery that failed": Scenario("settle", _replying, _fail_delivery),
    "commit the end of deliveries": Scenario("commit", _withdrawing, _commit_nothing_new),
    "release a delivery": Scenario("release", _replying, _release_delivery),
    "reap a worker that delivers": Scenario("reap", _replying, _reap),
    "release a job": Scenario("release", _busy, _release),
    "pause a stream": Scenario("gate", _busy, _pause),
    "resume a stream": Scenario("gate", _with_parked_jobs, _resume),
    "take what is due": Scenario("take", _busy, _take),
    "take a stream up": Scenario("take_up", _session, _take_up),
    "give back what was taken": Scenario("give_back", _taken, _give_back),
    "reap a dead worker": Scenario("reap", _busy, _reap),
    "renew a lease": Scenario("renew", _busy, _renew),
    "finish deliveries": Scenario("delivered", _owing, _deliver),
}
# These carry no operation id: their caller simply calls again.
UNMARKED = frozenset({"take", "take_up", "give_back", "reap", "renew", "delivered"})
