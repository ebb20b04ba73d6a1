"""Jobs: claimed by one, settled once, given back, and freed when their holder is gone."""

from __future__ import annotations

import msgspec
import pytest

from services.errors import Revoked
from services.jobs.claims import Released
from services.processors.advance import Held
from services.streams.event import JobId, StreamId
from services.streams.vocabulary import AttemptEnded, JobStarted
from tests.fakes.puppet import CREATED, Seen, Told, outcome_of, tell
from tests.fakes.store_servers import Console
from tests.fakes.store_stage import LEASE_MS, Hand, Stage

S = StreamId("s")
JOB = JobId("s@1")
OUTCOME = outcome_of(JobId("s@1"))


@pytest.fixture
def hand(stage: Stage) -> Hand:
    """A worker, and a job that is due."""
    made = stage.hand()
    stage.log.append(S, [tell(Told(jobs=("llm:1",)))], create=CREATED)
    made.advancer.advance(S)
    return made


def _outcomes(stage: Stage) -> int:
    return stage.types(S).count("llm.settled")


def _seen(stage: Stage) -> Seen:
    return msgspec.json.decode(stage.log.load(S).fields["s:puppet"], type=Seen)


class TestClaiming:
    """The exclusive right to run a job."""

    def test_a_claim_counts_the_attempt_and_is_an_event(self, stage: Stage, hand: Hand) -> None:
        held, claim = hand.take_job("llm", JOB)

        assert (held.token, claim.attempt, claim.charged, claim.prior) == (1, 1, 1, "")
        [started] = [e.decode(JobStarted) for e in stage.events(S) if e.type == "llm.started"]
        assert (started.job, started.attempt, started.incarnation) == (JOB, 1, "hand")
        assert stage.due_ids("llm") == {}
        assert stage.due.sizes()["llm"] == 1

    def test_a_held_job_is_not_to_be_had(self, stage: Stage, hand: Hand) -> None:
        hand.take_job("llm", JOB)

        assert stage.hand("other").claims.claim("llm", JOB) is None
        assert hand.claims.claim("llm", JOB) is None

    def test_a_job_nobody_asked_for_is_not_to_be_had(self, hand: Hand) -> None:
        assert hand.claims.claim("llm", JobId("s@forged")) is None

    def test_a_settled_job_is_not_to_be_had(self, stage: Stage, hand: Hand) -> None:
        held, _ = hand.take_job("llm", JOB)
        hand.advancer.settle(held, [OUTCOME], None)

        assert hand.claims.claim("llm", JOB) is None

    def test_a_job_that_backs_off_is_not_to_be_had_before_its_time(self, stage: Stage, hand: Hand) -> None:
        held, _ = hand.take_job("llm", JOB)
        hand.claims.release(held, error="overloaded", delay_ms=5_000)

        assert hand.claims.claim("llm", JOB) is None
        stage.pass_time(5_001)
        assert hand.claims.claim("llm", JOB) is not None

    def test_who_has_no_lease_claims_nothing(self, stage: Stage, hand: Hand) -> None:
        stage.pass_time(LEASE_MS + 1)

        with pytest.raises(Revoked):
            hand.claims.claim("llm", JOB)
        with pytest.raises(Revoked):
            stage.hand("unborn", born=False).claims.claim("llm", JOB)
        assert JOB in stage.due_ids("llm")

    def test_a_commit_claims_only_with_a_lease(self, stage: Stage, hand: Hand) -> None:
        stage.log.append(S, [tell(Told(jobs=("llm:2",)))])
        stage.pass_time(LEASE_MS + 1)

        with pytest.raises(Revoked):
            hand.advancer.advance(S, hand.claimer())

        hand.advancer.advance(S)
        assert "s@2" in stage.due_ids("llm")

    def test_an_attempt_declares_its_effect_to_the_next_one(self, stage: Stage, hand: Hand) -> None:
        hand.claims.claim("llm", JOB, effect="write")
        stage.relay.reap(stage.keys.shard(S), "hand", proven=True)

        claim = stage.hand("other").claims.claim("llm", JOB, effect="read_only")

        assert claim is not None
        assert claim.prior == "write"


class TestSettling:
    """The one outcome of a job."""

    def test_the_next_commit_rides_along_when_nothing_came_between(self, stage: Stage, hand: Hand) -> None:
        held, _ = hand.take_job("llm", JOB)

        done = hand.advancer.settle(held, [OUTCOME], hand.advancer.stand(S))

        assert done is not None
        assert not done.behind
        loaded = stage.log.load(S)
        assert (loaded.rev, loaded.at) == (2, loaded.head)
        assert _seen(stage).outcomes == 1
        assert stage.due_ids("advance") == {}
        assert stage.due.sizes() == dict.fromkeys(stage.due.sizes(), 0)

    def test_an_append_in_between_leaves_the_commit_to_others(self, stage: Stage, hand: Hand) -> None:
        held, _ = hand.take_job("llm", JOB)
        standing = hand.advancer.stand(S)
        stage.log.append(S, [tell()])

        done = hand.advancer.settle(held, [OUTCOME], standing)

        assert done is not None
        assert done.behind
        assert stage.log.load(S).rev == 1
        assert stage.due_ids("advance")[S] <= 0
        assert _outcomes(stage) == 1

    def test_a_commit_in_between_leaves_the_next_one_to_others(self, stage: Stage, hand: Hand) -> None:
        held, _ = hand.take_job("llm", JOB)
        standing = hand.advancer.stand(S)
        stage.hand("other").advancer.advance(S)

        done = hand.advancer.settle(held, [OUTCOME], standing)

        assert done is not None
        assert done.behind
        assert _outcomes(stage) == 1

    def test_a_commit_that_may_not_ride_does_not_hold_the_outcome_up(self, stage: Stage, hand: Hand) -> None:
        held, _ = hand.take_job("llm", JOB)
        stage.log.append(S, [tell(Told(jobs=("llm:2",)))])
        standing = hand.advancer.stand(S)
        stage.pass_time(LEASE_MS + 1)

        done = hand.advancer.settle(held, [OUTCOME], standing, hand.claimer())

        assert done is not None
        assert done.behind
        assert _outcomes(stage) == 1

    def test_an_outcome_is_accepted_once(self, stage: Stage, hand: Hand) -> None:
        held, _ = hand.take_job("llm", JOB)

        assert hand.advancer.settle(held, [OUTCOME], None) is not None
        assert hand.advancer.settle(held, [OUTCOME], None) is None
        assert _outcomes(stage) == 1

    def test_a_forged_token_settles_nothing(self, stage: Stage, hand: Hand) -> None:
        hand.take_job("llm", JOB)

        for token in (0, 2):
            forged = Held(kind="llm", id=JOB, stream=S, token=token)
            assert hand.advancer.settle(forged, [OUTCOME], None) is None
        assert _outcomes(stage) == 0

    def test_who_lost_its_job_to_another_comes_too_late(self, stage: Stage, hand: Hand) -> None:
        old, _ = hand.take_job("llm", JOB)
        stage.relay.reap(stage.keys.shard(S), "hand", proven=True)
        other = stage.hand("other")

        assert hand.advancer.settle(old, [OUTCOME], None) is None
        new, claim = other.take_job("llm", JOB)
        assert hand.advancer.settle(old, [OUTCOME], None) is None
        assert other.advancer.settle(new, [OUTCOME], None) is not None
        assert (claim.attempt, new.token) == (2, 2)
        assert _outcomes(stage) == 1

    def test_an_outcome_is_accepted_from_an_ended_lease_while_nobody_took_the_job(
        self, stage: Stage, hand: Hand
    ) -> None:
        held, _ = hand.take_job("llm", JOB)
        stage.pass_time(LEASE_MS + 1)

        assert hand.advancer.settle(held, [OUTCOME], None) is not None

    def test_nobody_settles_what_another_holds(self, stage: Stage, hand: Hand) -> None:
        held, _ = hand.take_job("llm", JOB)

        assert stage.hand("other").advancer.settle(held, [OUTCOME], None) is None
        assert stage.hand("another").claims.release(held, error="lost") is None
        assert hand.advancer.settle(held, [OUTCOME], None) is not None

    def test_who_comes_late_for_an_older_claim_keeps_the_newer_one(self, stage: Stage, hand: Hand) -> None:
        old, _ = hand.take_job("llm", JOB)
        hand.claims.release(old, error="overloaded")
        hand.take_job("llm", JOB)

        assert hand.advancer.settle(old, [OUTCOME], None) is None
        assert hand.claims.release(old, error="lost") is None

        assert stage.relay.reap(stage.keys.shard(S), "hand", proven=True) == 1
        assert JOB in stage.due_ids("llm")


class TestReleasing:
    """An attempt that ended without an outcome."""

    def test_a_release_says_why_and_when_it_goes_on(self, stage: Stage, hand: Hand) -> None:
        held, _ = hand.take_job("llm", JOB)

        released = hand.claims.release(held, error="overloaded", delay_ms=5_000)

        assert released is not None
        assert released.retry_at == released.now + 5_000
        assert 4_000 < stage.due_ids("llm")[JOB] <= 5_000
        [ended] = [e.decode(AttemptEnded) for e in stage.events(S) if e.type == "llm.attempt_failed"]
        assert (ended.job, ended.error, ended.retry_at, ended.free) == (
            JOB,
            "overloaded",
            released.retry_at,
            False,
        )

    @pytest.mark.parametrize(("free", "charged"), [(False, 2), (True, 1)])
    def test_a_free_attempt_costs_nothing_of_the_budget(
        self, stage: Stage, hand: Hand, free: bool, charged: int
    ) -> None:
        held, _ = hand.take_job("llm", JOB)
        hand.claims.release(held, error="deploy", free=free)

        _, claim = hand.take_job("llm", JOB)

        assert (claim.attempt, claim.charged) == (2, charged)

    def test_a_release_of_what_is_not_ours_changes_nothing(self, stage: Stage, hand: Hand) -> None:
        held, _ = hand.take_job("llm", JOB)
        hand.claims.release(held, error="deploy")

        again: Released | None = hand.claims.release(held, error="deploy")

        assert again is None
        assert stage.types(S).count("llm.attempt_failed") == 1


class TestLeases:
    """What the dead held is due again; the living keep theirs."""

    def test_a_lease_is_kept_by_renewing_and_over_for_ever_once_it_ended(self, stage: Stage) -> None:
        hand = stage.hand()
        stage.pass_time(LEASE_MS - 1_000)
        assert hand.renew()
        stage.pass_time(LEASE_MS - 1_000)
        assert hand.renew()
        stage.pass_time(LEASE_MS + 1)

        assert not hand.renew()
        assert not hand.renew(born=True)

    def test_what_an_ended_lease_held_is_due_again_and_the_attempt_is_charged(
        self, stage: Stage, hand: Hand
    ) -> None:
        hand.take_job("llm", JOB)
        stage.pass_time(LEASE_MS + 1)

        moved = stage.relay.reap(stage.keys.shard(S), "hand", proven=False)

        assert moved == 1
        assert stage.due_ids("llm")[JOB] <= 0
        _, claim = stage.hand("other").take_job("llm", JOB)
        assert (claim.attempt, claim.charged) == (2, 2)

    def test_a_proven_death_costs_nothing_and_ends_the_lease_at_once(self, stage: Stage, hand: Hand) -> None:
        hand.take_job("llm", JOB)

        stage.relay.reap(stage.keys.shard(S), "hand", proven=True)

        _, claim = stage.hand("other").take_job("llm", JOB)
        assert (claim.attempt, claim.charged) == (2, 1)
        assert not hand.renew()

    def test_a_job_that_saw_several_holders_die_waits_longer_each_time(
        self, stage: Stage, hand: Hand
    ) -> None:
        waits = []
        for name in ("hand", "second", "third", "fourth"):
            (hand if name == "hand" else stage.hand(name)).take_job("llm", JOB)
            stage.relay.reap(stage.keys.shard(S), name, proven=True)
            waits.append(round(stage.due_ids("llm")[JOB], -3))
            stage.pass_time(60_000)

        assert waits == [0, 10_000, 20_000, 40_000]

    def test_the_living_are_not_robbed_without_proof(self, stage: Stage, hand: Hand) -> None:
        held, _ = hand.take_job("llm", JOB)

        assert stage.relay.reap(stage.keys.shard(S), "hand", proven=False) == 0
        assert hand.advancer.settle(held, [OUTCOME], None) is not None

    def test_a_job_of_a_kind_that_only_newer_workers_know_is_left_to_them(
        self, stage: Stage, hand: Hand, bare: Console
    ) -> None:
        hand.take_job("llm", JOB)
        bare.execute_command("ZADD", stage.keys.held(stage.keys.shard(S), "hand"), 0, "newer|s@9")

        assert stage.relay.reap(stage.keys.shard(S), "hand", proven=True) == 1

        assert JOB in stage.due_ids("llm")
        assert stage.due.sizes()["llm"] == 1

    def test_reaping_twice_moves_nothing_twice(self, stage: Stage, hand: Hand) -> None:
        hand.take_job("llm", JOB)
        stage.relay.reap(stage.keys.shard(S), "hand", proven=True)
        other = stage.hand("other")
        held, _ = other.take_job("llm", JOB)

        assert stage.relay.reap(stage.keys.shard(S), "hand", proven=True) == 0
        assert other.advancer.settle(held, [OUTCOME], None) is not None

    def test_more_jobs_than_one_script_takes_are_all_freed(self, stage: Stage) -> None:
        hand = stage.hand()
        for n in range(3):
            jobs = tuple(f"llm:{n}.{i}" for i in range(50))
            stage.log.append(S, [tell(Told(jobs=jobs))], create=CREATED)
            hand.advancer.advance(S, hand.claimer())
        assert stage.due.sizes()["llm"] == 150

        assert stage.relay.reap(stage.keys.shard(S), "hand", proven=True) == 150
        assert len(stage.due_ids("llm")) == 150

    def test_a_round_of_the_relay_frees_what_ended_leases_held(self, stage: Stage, hand: Hand) -> None:
        hand.take_job("llm", JOB)
        stage.pass_time(LEASE_MS + 1)

        stage.relay.round()

        assert stage.due_ids("llm")[JOB] <= 0


class TestTaking:
    """Who takes a member has it to itself for the grace."""

    def test_a_taken_member_is_nobody_elses_until_the_grace_is_over(self, stage: Stage) -> None:
        stage.log.append(S, [tell()], create=CREATED)
        shard = stage.keys.shard(S)

        assert [t.id for t in stage.due.take("advance", shard, most=5)] == [S]
        assert stage.due.take("advance", shard, most=5, hinted=S) == []
        stage.pass_time(10_001)
        assert [t.takes for t in stage.due.take("advance", shard, most=5)] == [2]

    def test_a_member_taken_again_and_again_without_a_commit_is_put_off_for_longer(
        self, stage: Stage
    ) -> None:
        stage.log.append(S, [tell()], create=CREATED)
        shard = stage.keys.shard(S)
        graces = []
        for _ in range(5):
            stage.due.take("advance", shard, most=5)
            graces.append(round(stage.due_ids("advance")[S], -3))
            stage.pass_time(graces[-1] + 100)

        assert graces == [10_000, 10_000, 20_000, 30_000, 30_000]

    def test_the_hinted_member_comes_first_and_no_more_than_asked_for(self, stage: Stage) -> None:
        shard = stage.keys.shard(S)
        names = [n for n in (f"s{i}" for i in range(60)) if stage.keys.shard(n) == shard][:6]
        for name in names:
            stage.log.append(StreamId(name), [tell()], create=CREATED)

        taken = [t.id for t in stage.due.take("advance", shard, most=3, hinted=names[4])]

        assert len(taken) == 3
        assert taken[0] == names[4]
        assert len(stage.due.take("advance", shard, most=9)) == 3

    def test_what_is_not_due_yet_or_not_there_is_not_taken(self, stage: Stage) -> None:
        now = stage.log.append(S, [tell()], create=CREATED).now
        stage.log.append(S, [tell(Told(wake=now + 60_000))])
        stage.hand().advancer.advance(S)
        shard = stage.keys.shard(S)

        assert stage.due.take("advance", shard, most=5, hinted=S) == []
        assert stage.due.take("advance", shard, most=5, hinted="ghost") == []

    def test_a_member_given_back_is_due_at_once_and_its_take_does_not_count(self, stage: Stage) -> None:
        stage.log.append(S, [tell()], create=CREATED)
        shard = stage.keys.shard(S)
        stage.due.take("advance", shard, most=5)

        stage.due.give_back("advance", shard, [S, "ghost"])

        assert [t.takes for t in stage.due.take("advance", shard, most=5)] == [1]
        assert set(stage.due_ids("advance")) == {S}

    def test_a_take_may_go_uncounted(self, stage: Stage) -> None:
        stage.log.append(S, [tell()], create=CREATED)
        shard = stage.keys.shard(S)

        assert [t.takes for t in stage.due.take("advance", shard, most=5, counted=False)] == [0]

    def test_a_commit_clears_the_count_and_so_does_a_delivery(self, stage: Stage) -> None:
        stage.log.append(S, [tell(Told(to=("t",)))], create=CREATED)
        shard = stage.keys.shard(S)
        stage.due.take("advance", shard, most=1)
        stage.hand().advancer.advance(S)
        stage.due.take("deliver", shard, most=1)
        stage.deliverer.run(S)

        stage.log.append(S, [tell(Told(to=("t",)))])
        assert [t.takes for t in stage.due.take("advance", shard, most=1)] == [1]
        stage.hand("other").advancer.advance(S)
        assert [t.takes for t in stage.due.take("deliver", shard, most=1)] == [1]
