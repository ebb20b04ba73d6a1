"""The real store and a dict model side by side, through crashes, lost replies, stale tokens and pauses."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from typing import cast

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.errors import Revoked, StreamPaused
from services.processors.advance import Held, Standing
from services.processors.contract import StartJob
from services.streams.event import Event, EventInput, JobId, StreamId
from services.streams.keys import JOB_KINDS, JobKind, Keys, Kind, stream_of
from services.streams.vocabulary import JobStarted
from services.streams.vocabulary import StreamPaused as Paused
from tests.fakes.lua_faults import standing_clock
from tests.fakes.puppet import CREATED, Did, Owes, Seen, Told, outcome_of, tell
from tests.fakes.store_proxy import proxy_before
from tests.fakes.store_servers import console
from tests.fakes.store_stage import Stage
from tests.store.stream_model import EVENTS, LEASE_MS, Dead, Draft, Happened, Model

NAMES = ("a", "b")
KINDS: dict[str, JobKind] = {kind: kind for kind in JOB_KINDS}
EXAMPLES = 100 if os.environ.get("CI") else 30
names = st.sampled_from(NAMES)
# A lost reply costs a pause before the repeat, so they are not that frequent.
luck = st.sampled_from([*[True] * 15, False])
NOTICES = tuple(f"{kind}.{what}" for kind in EVENTS.values() for what in ("started", "attempt_failed"))


class Crash(Exception):
    """The process died here."""


class Grip:
    """A claim some hand had once, with the stream as it stood then."""

    def __init__(self, hand: str, held: Held, standing: Standing | None) -> None:
        self.hand, self.held, self.standing = hand, held, standing


class StreamMachine(RuleBasedStateMachine):
    """Rules act on both sides and compare the answers; invariants compare everything there is."""

    def __init__(self, url: str, proxied: str) -> None:
        super().__init__()
        self.keys = Keys(f"m{uuid.uuid4().hex[:12]}", shards=2)
        self.plain = Stage(url, self.keys, read=standing_clock)
        self.unlucky = Stage(proxied, self.keys, read=standing_clock)
        self.bare = console(url)
        self.console = self.bare.__enter__()
        self.model = Model(NAMES)
        self.grips: list[Grip] = []
        self.made = 0

    def teardown(self) -> None:
        """Close what was opened."""
        self.plain.close()
        self.unlucky.close()
        self.bare.__exit__(None, None, None)

    def _stage(self, lucky: bool) -> Stage:
        return self.plain if lucky else self.unlucky

    # Streams

    @rule(
        name=names,
        emit=st.integers(0, 2),
        jobs=st.lists(st.sampled_from(["llm", "tool", "deliver:x.", "deliver:y."]), max_size=3),
        ends=st.booleans(),
        to=st.lists(names, max_size=4),
        pause=st.sampled_from(["", "", "", "enough"]),
        key=st.sampled_from([None, None, "k1", "k2"]),
        lucky=luck,
    )
    def append(
        self,
        name: str,
        emit: int,
        jobs: list[str],
        ends: bool,
        to: list[str],
        pause: str,
        key: str | None,
        lucky: bool,
    ) -> None:
        """Tell a stream something, perhaps under a key that was used before."""
        made = tuple(f"{kind}{'' if ':' in kind else ':'}{self.made + n}" for n, kind in enumerate(jobs))
        self.made += len(jobs)
        ended = self._some_job(name) if ends else ()
        # What comes from other streams is not passed on for ever: only direct appends have targets.
        told = Told(emit=emit, jobs=made, end=ended, to=tuple(to), pause=pause)
        log = self._stage(lucky).log
        if self.model.streams[name].paused and key not in self.model.streams[name].keys:
            with pytest.raises(StreamPaused):
                log.append(StreamId(name), [tell(told, key=key)], create=CREATED, external=True)
            return
        done = log.append(
            StreamId(name), [tell(told, key=key)], create=CREATED, external=True, existing_wins=True
        )
        assert (done.offsets[0], done.duplicates[0]) == self.model.append(name, told, key)

    def _some_job(self, name: str) -> tuple[str, ...]:
        found = sorted(
            f"{job.kind}:{id.partition('@')[2]}" for id, job in self.model.jobs.items() if job.stream == name
        )
        return tuple(found[-1:])

    @rule(name=names, data=st.data())
    def append_and_claim(self, name: str, data: st.DataObject) -> None:
        """A job that is asked for and claimed in one commit."""
        told = Told(jobs=(data.draw(st.sampled_from([f"llm:{self.made}", f"deliver:x.{self.made}"])),))
        self.made += 1
        self.plain.log.append(StreamId(name), [tell(told)], create=CREATED)
        self.model.append(name, told)
        self._advance(name, self._draw_hand(data), claims=True)

    @rule(name=names, to=st.lists(names, min_size=2, max_size=4), data=st.data())
    def append_and_owe(self, name: str, to: list[str], data: st.DataObject) -> None:
        """Several entries for other streams, queued by one commit."""
        told = Told(to=tuple(to))
        self.plain.log.append(StreamId(name), [tell(told)], create=CREATED)
        self.model.append(name, told)
        self._advance(name, self._draw_hand(data), claims=False)

    @rule(name=names, data=st.data())
    def park(self, name: str, data: st.DataObject) -> None:
        """A job that is due meets a pause."""
        due = [id for id, job in self.model.jobs.items() if job.stream == name and job.place == "due"]
        if due:
            self.gate(name, pause=True, lucky=True)
            self._claim(due[0], self._draw_hand(data))

    @rule(name=names, pause=st.booleans(), lucky=luck)
    def gate(self, name: str, pause: bool, lucky: bool) -> None:
        """Pause or resume."""
        if not self.model.streams[name].events:
            return
        type_ = "stream.paused" if pause else "stream.resumed"
        event = EventInput.of(type_, Paused(reason="r"))
        changes = self.model.streams[name].paused != pause
        done = self._stage(lucky).log.gate(StreamId(name), event, paused="r" if pause else None)
        assert done.changed == changes
        self.model.gate(name, pause=pause)

    # Commits

    @rule(name=names, claims=st.booleans(), data=st.data(), lucky=luck)
    def advance(self, name: str, claims: bool, data: st.DataObject, lucky: bool) -> None:
        """Commit, as often as hints are delivered."""
        hand = self._draw_hand(data)
        self._advance(name, hand, claims=claims, lucky=lucky)

    @rule(name=names, claims=st.booleans(), data=st.data())
    def advance_while_others_append(self, name: str, claims: bool, data: st.DataObject) -> None:
        """An event arrives between reading and committing."""
        if not self.model.streams[name].events or self.model.streams[name].paused:
            return
        hand = self._draw_hand(data)
        told = Told(text="between")

        def come_between() -> None:
            self.plain.log.append(StreamId(name), [tell(told)])
            self.model.append(name, told)

        self._advance(name, hand, claims=claims, between=come_between)

    @rule(name=names, data=st.data())
    def crash_before_commit(self, name: str, data: st.DataObject) -> None:
        """The process dies with its plan ready: nothing has happened."""
        if not self.model.streams[name].events:
            return
        hand = self.plain.hand(self._draw_hand(data), born=False)

        def crash() -> None:
            raise Crash

        with pytest.raises(Crash), self.plain.between("commit", crash):
            hand.advancer.advance(StreamId(name), hand.claimer())

    def _advance(
        self,
        name: str,
        hand: str,
        *,
        claims: bool,
        lucky: bool = True,
        between: Callable[[], None] | None = None,
    ) -> None:
        stage = self._stage(lucky)
        real = stage.hand(hand, born=False)
        claimer = (real.claimer(),) if claims else ()
        try:
            draft = self.model.draft(name, hand, claims=claims)
        except Dead:
            with pytest.raises(Revoked):
                real.advancer.advance(StreamId(name), *claimer)
            return
        if not self.model.streams[name].events:
            real.advancer.advance(StreamId(name), *claimer)
            return
        if between is None:
            advanced = real.advancer.advance(StreamId(name), *claimer)
        else:
            with stage.between("commit", between):
                advanced = real.advancer.advance(StreamId(name), *claimer)
        self.model.commit(name, draft)
        assert {job.id for job in advanced.claimed} == {
            id for id, job in draft.jobs.items() if job.place == "held"
        }
        for job in advanced.claimed:
            held = _fresh(job)
            self.grips.append(Grip(hand, held, advanced.standing))

    # Jobs

    @precondition(lambda self: self.model.jobs)
    @rule(data=st.data(), lucky=luck)
    def claim(self, data: st.DataObject, lucky: bool) -> None:
        """Claim any job there ever was."""
        id = data.draw(st.sampled_from(sorted(self.model.jobs)))
        self._claim(id, self._draw_hand(data), lucky=lucky)

    @precondition(lambda self: self.grips)
    @rule(data=st.data())
    def steal(self, data: st.DataObject) -> None:
        """A holder is proven dead and another takes its job; the dead one may yet be heard of."""
        grip = self._draw_grip(data)
        self.model.reap(grip.hand, proven=True)
        for shard in range(self.keys.shards):
            self.plain.relay.reap(shard, grip.hand, proven=True)
        self._claim(grip.held.id, self._draw_hand(data))

    def _claim(self, id: str, hand: str, *, lucky: bool = True) -> None:
        real = self._stage(lucky).hand(hand, born=False)
        kind = KINDS[self.model.jobs[id].kind]
        try:
            job = self.model.claim(hand, id)
        except Dead:
            with pytest.raises(Revoked):
                real.claims.claim(kind, JobId(id))
            return
        claim = real.claims.claim(kind, JobId(id))
        assert (claim is None) == (job is None)
        if claim is not None and job is not None:
            assert (claim.token, claim.charged) == (job.token, job.token - job.free)
            held = Held(
                kind=kind,
                id=JobId(id),
                stream=StreamId(job.stream),
                token=claim.token,
                destination=claim.destination,
            )
            self.grips.append(Grip(hand, held, real.advancer.stand(held.stream)))

    @precondition(lambda self: self.grips)
    @rule(
        data=st.data(),
        stands=st.sampled_from(["never", "then", "now"]),
        meanwhile=st.sampled_from(["", "", "append", "advance"]),
        claims=st.booleans(),
        reply=st.sampled_from(["delivered", "delivered", "failed", "uncertain"]),
        lucky=luck,
    )
    def settle(
        self, data: st.DataObject, stands: str, meanwhile: str, claims: bool, reply: str, lucky: bool
    ) -> None:
        """Settle by any claim there ever was, with the next commit as it looked a while ago, or without."""
        grip = self._draw_grip(data)
        held, name = grip.held, str(grip.held.stream)
        real = self._stage(lucky).hand(grip.hand, born=False)
        standing = {"never": None, "then": grip.standing, "now": real.advancer.stand(held.stream)}[stands]
        if meanwhile == "append":
            self.plain.log.append(held.stream, [tell()])
            self.model.append(name, Told())
        elif meanwhile == "advance":
            self._advance(name, grip.hand, claims=False)
        outcome = outcome_of(held.id, held.kind, reply=reply)
        draft = self._ride(grip, standing, outcome.type, claims=claims)
        claimer = (real.claimer(),) if claims else ()
        done = real.advancer.settle(held, [outcome], standing, *claimer)
        if not self.model.holds(held.id, held.token):
            assert done is None
            return
        self.model.settle(held.id, outcome.type)
        assert done is not None
        if draft is None:
            assert done.behind
            return
        self.model.commit(name, draft)
        for job in done.claimed:
            self.grips.append(Grip(grip.hand, _fresh(job), done.standing))

    def _ride(self, grip: Grip, standing: Standing | None, ended: str, *, claims: bool) -> Draft | None:
        """The commit that the model lets ride along with a settlement."""
        stream = self.model.streams[grip.held.stream]
        if standing is None or (standing.rev, standing.head) != (stream.rev, len(stream.events)):
            return None
        outcome = (ended, str(grip.held.id))
        try:
            return self.model.draft(grip.held.stream, grip.hand, claims=claims, outcome=outcome)
        except Dead:
            return None

    def _draw_grip(self, data: st.DataObject) -> Grip:
        """A claim there ever was, with a liking for those that still count."""
        holding = [grip for grip in self.grips if self.model.holds(grip.held.id, grip.held.token)]
        return data.draw(st.sampled_from([*holding, *holding, *self.grips[-3:]]), label="grip")

    @precondition(lambda self: self.grips)
    @rule(data=st.data(), delay_ms=st.sampled_from([0, 30_000]), free=st.booleans(), lucky=luck)
    def release(self, data: st.DataObject, delay_ms: int, free: bool, lucky: bool) -> None:
        """Give back by any claim there ever was."""
        grip = self._draw_grip(data)
        claims = self._stage(lucky).hand(grip.hand, born=False).claims
        done = claims.release(grip.held, error="x", delay_ms=delay_ms, free=free)
        assert (done is not None) == self.model.holds(grip.held.id, grip.held.token)
        if done is not None:
            self.model.release(grip.held.id, delay_ms=delay_ms, free=free)

    # Leases and time

    @initialize(claims=st.lists(st.booleans(), min_size=len(NAMES), max_size=len(NAMES)))
    def begin(self, claims: list[bool]) -> None:
        """Two workers, and a stream or two with jobs that are held or due."""
        self.be_born()
        self.be_born()
        for name, claimed in zip(NAMES, claims, strict=True):
            told = Told(jobs=(f"llm:{self.made}", f"tool:{self.made + 1}"))
            self.made += 2
            self.plain.log.append(StreamId(name), [tell(told)], create=CREATED)
            self.model.append(name, told)
            self._advance(name, "h0", claims=claimed)

    @precondition(lambda self: len(self.model.leases) < 8)
    @rule()
    def be_born(self) -> None:
        """A worker starts."""
        name = f"h{len(self.model.leases)}"
        self.plain.hand(name)
        self.model.leases[name] = self.model.now + LEASE_MS

    @rule(data=st.data(), lucky=luck)
    def renew(self, data: st.DataObject, lucky: bool) -> None:
        """Keep a lease, or learn that it is over."""
        hand = self._draw_hand(data)
        alive = self.model.is_alive(hand)
        assert self._stage(lucky).hand(hand, born=False).renew() == alive
        if alive:
            self.model.leases[hand] = self.model.now + LEASE_MS

    @rule(data=st.data(), proven=st.booleans(), lucky=luck)
    def reap(self, data: st.DataObject, proven: bool, lucky: bool) -> None:
        """Free what the dead held."""
        hand = self._draw_hand(data)
        moves = self.model.reap(hand, proven=proven)
        relay = self._stage(lucky).relay
        moved = sum(relay.reap(shard, hand, proven=proven) for shard in range(self.keys.shards))
        assert not lucky or moved >= moves

    @rule(ms=st.sampled_from([4_000, 20_000, 40_000]))
    def pass_time(self, ms: int) -> None:
        """Time passes, perhaps longer than a lease lasts."""
        self.plain.pass_time(ms)
        self.model.now += ms

    @rule(shard=st.integers(0, 1), kind=st.sampled_from(["advance", "deliver"]), hinted=names)
    def take(self, shard: int, kind: Kind, hinted: str) -> None:
        """Somebody takes members and does nothing with them."""
        self.plain.due.take(kind, shard, most=2, hinted=hinted)

    # Outbox

    @rule(name=names, lucky=luck)
    def deliver(self, name: str, lucky: bool) -> None:
        """Deliver everything owed."""
        self._stage(lucky).deliverer.run(StreamId(name))
        self.model.deliver(name)

    @rule(name=names, after=st.integers(1, 3))
    def crash_in_delivery(self, name: str, after: int) -> None:
        """The process dies after some appends; all is delivered again later."""
        if len(self.model.streams[name].outbox) <= after:
            return
        seen: list[str] = []

        def before(script: str) -> None:
            seen.append(script)
            if len(seen) > after:
                raise Crash

        self.plain.store.before = before
        with pytest.raises(Crash):
            self.plain.deliverer.run(StreamId(name))
        del self.plain.store.before
        self.model.deliver(name, crash_before=after)

    # What always holds

    @invariant()
    def the_logs_are_equal_and_dense(self) -> None:
        """Every event is there, once, in the same order."""
        for name, stream in self.model.streams.items():
            events = self.plain.events(StreamId(name))
            assert [event.offset for event in events] == list(range(1, len(events) + 1))
            assert [_happened(event) for event in events] == stream.events

    @invariant()
    def checkpoints_are_equal_and_what_is_unread_is_due(self) -> None:
        """A stream whose checkpoint is behind is in the due set."""
        for name, stream in self.model.streams.items():
            loaded = self.plain.log.load(StreamId(name), limit=0)
            assert (loaded.at, loaded.own, loaded.rev) == (stream.at, stream.own, stream.rev)
            assert (loaded.paused is not None) == stream.paused
            unread = [type_ for type_, _ in stream.events[stream.at :] if type_ not in NOTICES]
            if unread:
                assert self._score("advance", name) is not None
            if stream.outbox:
                assert self._score("deliver", name) is not None

    @invariant()
    def states_count_every_event_once(self) -> None:
        """What the processor reduced is what lies before its checkpoint."""
        for name, stream in self.model.streams.items():
            raw = self.plain.log.load(StreamId(name), limit=0).fields.get("s:puppet")
            if raw is not None:
                seen = msgspec.json.decode(raw, type=Seen)
                types = [type_ for type_, _ in stream.events[: stream.at]]
                assert (seen.told, seen.did) == (types.count("puppet.told"), types.count("puppet.did"))

    @invariant()
    def undelivered_replies_are_kept_for_people(self) -> None:
        """Those that failed and those of which nobody can tell, and no others."""
        found = {
            member.decode()
            for shard in range(self.keys.shards)
            for member in self.plain.store.client.zrange(self.keys.letters(shard), 0, -1)
        }
        assert found == self.model.letters

    @invariant()
    def every_job_is_in_one_place(self) -> None:
        """Due, held, parked, settled, or waiting behind another."""
        for id, job in self.model.jobs.items():
            places = self._places(id, job.kind, job.stream)
            assert places == {job.place}, (id, job)

    def _places(self, id: str, kind: str, stream: str) -> set[str]:
        shard, member = self.keys.shard(stream), f"{kind}|{id}"
        state = self.console.execute_command("HGET", self.keys.job(JobId(id)), "state")
        found = {"settled"} if state == b"settled" else set()
        if self._score(KINDS[kind], id) is not None:
            found.add("due")
        if self.console.execute_command("ZSCORE", self.keys.parked(StreamId(stream)), member) is not None:
            found.add("parked")
        holders = [
            hand
            for hand in self.model.leases
            if self.console.execute_command("ZSCORE", self.keys.held(shard, hand), member) is not None
        ]
        # Whoever held a job that a commit settled learns of it when it comes too late.
        if holders and state != b"settled":
            assert len(holders) == 1
            found.add("held")
        if not found and kind == "deliver":
            queue = self.keys.queue(StreamId(stream), id.partition("@")[2].partition(".")[0])
            assert self.console.execute_command("ZSCORE", queue, id) is not None
            found.add("waiting")
        return found

    def _score(self, kind: Kind, member: str) -> object:
        key = self.keys.due(self.keys.shard(member), kind)
        return self.console.execute_command("ZSCORE", key, member)

    def _draw_hand(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.model.leases)), label="hand")


def _fresh(job: StartJob) -> Held:
    """A job that was claimed in the commit that asked for it."""
    return Held(kind=job.kind, id=job.id, stream=stream_of(job.id), token=1, destination=job.destination)


def _happened(event: Event) -> Happened:
    match event.type:
        case "puppet.told":
            return event.type, event.decode(Told)
        case "puppet.did":
            return event.type, event.decode(Did).of
        case "puppet.owes":
            return event.type, event.decode(Owes).job
        case "llm.started" | "tool.started" | "reply.started":
            started = event.decode(JobStarted)
            return event.type, (started.job, started.attempt)
        case "stream.created" | "stream.paused" | "stream.resumed":
            return event.type, None
        case _:
            return event.type, event.decode(Owes).job


def test_the_store_does_what_the_model_does(store_url: str) -> None:
    if not store_url.startswith("unix://"):
        pytest.skip("the proxy speaks to sockets only")
    with proxy_before(store_url) as proxy:
        proxy.loses_first_replies = True
        run_state_machine_as_test(
            cast(type[RuleBasedStateMachine], lambda: StreamMachine(store_url, proxy.url)),
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=40,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
