"""One worker process: follows hints, runs what it may claim, then looks for what else is due.

A thread that commits a job claims it in the same step and goes on, from settlement to the next
reduction, until nothing of that stream is left to do here. Whatever it takes it works off or gives back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from services.errors import Conflict, Overloaded, Revoked, TooLarge, TurnwrightError, Unavailable
from services.faults import Faults
from services.jobs.claims import Claim, Claims, claimed_within
from services.jobs.due import Due, DueSets
from services.jobs.errands import Errand, Errands
from services.jobs.lookout import FRESH_MS, Lookout
from services.jobs.outcome import Again, Lost, Runner, Settled, too_large
from services.jobs.received import UNTOLD, Received, take_up
from services.jobs.share import Chooser, everything
from services.jobs.slots import Slots
from services.jobs.wake import Wake
from services.processors.advance import Advanced, Advancer, Held, Standing
from services.processors.contract import StartJob
from services.processors.plan import Claimer, NewerVersion, claim_nothing
from services.streams.event import EventInput, JobId, StreamId
from services.streams.keys import JobKind, Keys, Kind, is_job, stream_of
from services.streams.log import TakenUp
from services.streams.vocabulary import JobStarted
from services.telemetry.context import caused_by, current, work_for
from services.telemetry.tracer import NoTracer, Span, Tracer

DRAIN_S = 5.0
DRAIN_ITEMS = 64
FOLLOW_ROUNDS = 64
NEWER_DELAY_MS = 3_000
CONFLICT_DELAY_MS = 50
DEFECT_DELAY_MS = 2_000
INSIST_S = 0.5


class Deliverer(Protocol):
    """Works off the outbox of a stream."""

    def run(self, stream: StreamId) -> None:
        """Deliver what is due. Raises: Unavailable."""


class Reporter(Protocol):
    """Hears what a worker could not do; never raises."""

    def failed(self, what: str, id: str, error: BaseException) -> None:
        """`what` was attempted for `id`; the due sets bring it back."""


class Worker:
    """`slots` bounds outside work; `shortcuts` off leaves everything to the relays."""

    def __init__(
        self,
        keys: Keys,
        *,
        due: DueSets,
        claims: Claims,
        advancer: Advancer,
        runners: Mapping[JobKind, Runner],
        deliverer: Deliverer,
        slots: Slots,
        wake: Wake,
        incarnation: str,
        effect_of: Callable[[str], str],
        reporter: Reporter,
        faults: Faults,
        shortcuts: bool = True,
        tracer: Tracer | None = None,
        chooser: Callable[[], Chooser] = lambda: everything,
    ) -> None:
        self._keys, self._due, self._claims, self._advancer = keys, due, claims, advancer
        self._runners, self._deliverer = runners, deliverer
        self._slots, self._wake = slots, wake
        self._incarnation, self._effect_of = incarnation, effect_of
        self._reporter, self._faults, self._shortcuts = reporter, faults, shortcuts
        self._tracer = tracer or NoTracer()
        self.stopping = threading.Event()
        self.errands = Errands(slots)
        self._lookout = Lookout(due, slots, self.errands, chooser)

    def handle(self, kind: Kind, id: str, received: Received = UNTOLD) -> None:
        """Follow one hint, then take what else is due, bounded in items and seconds.

        Never raises for what the store or a stream did: the due sets keep what is owed. Raises: Revoked.
        """
        span = take_up(self._tracer, kind, received)
        with caused_by(span.trace if span else None):
            self._errand(kind, id, span)
            self._drain()

    def _drain(self) -> None:
        ends = time.monotonic() + DRAIN_S
        for _ in range(DRAIN_ITEMS):
            found = None if self.stopping.is_set() else self._next()
            if found is None:
                return
            if time.monotonic() > ends:
                self._wake.hint(found.kind, found.id)
                return
            self._errand(found.kind, found.id)
        self._hand_over()

    def _errand(self, kind: Kind, id: str, span: Span | None = None) -> None:
        work_for(span.trace if span else None, stream_of(id))
        errand = self.errands.begin(span)
        try:
            if not self.stopping.is_set():
                self._dispatch(kind, id, errand)
        except Revoked as error:
            errand.fails(error)
            raise
        except TurnwrightError as error:
            errand.fails(error)
            self._reporter.failed(kind, id, error)
        finally:
            errand.close()

    def _dispatch(self, kind: Kind, id: str, errand: Errand) -> None:
        match kind:
            case "advance":
                self._advance(StreamId(id), errand)
            case "llm" | "tool":
                self._job(kind, JobId(id), errand)
            case "deliver" if is_job(id):
                self._job(kind, JobId(id), errand)
            case "deliver":
                self._deliver(StreamId(id))
            case "tick":
                return

    def _advance(self, stream: StreamId, errand: Errand) -> None:
        if self._shortcuts and not errand.may_reduce():
            return
        errand.reduces()
        fresh_ms = FRESH_MS if self._shortcuts else 0
        taken = self._advancer.take_up(stream, grace_ms=self._due.grace_ms, fresh_ms=fresh_ms)
        if taken is not None:
            self._faults.at("advance.taken")
            self._go_on(stream, errand, taken)

    def _go_on(self, stream: StreamId, errand: Errand, taken: TakenUp) -> None:
        try:
            advanced = self._advancer.advance(stream, self._claimer(errand), taken)
            self._faults.at("advance.committed")
            self._follow(stream, advanced, errand)
        except (NewerVersion, Conflict) as error:
            self._leave(stream, error)

    def _leave(self, stream: StreamId, error: NewerVersion | Conflict) -> None:
        """Newer workers, or whoever was faster, go on with the stream."""
        delay_ms = CONFLICT_DELAY_MS if isinstance(error, Conflict) else NEWER_DELAY_MS
        self._due.give_back("advance", self._keys.shard(stream), [stream], delay_ms=delay_ms)

    def _follow(self, stream: StreamId, advanced: Advanced, errand: Errand) -> None:
        for _ in range(FOLLOW_ROUNDS):
            self._tell(stream, advanced)
            if advanced.claimed:
                job = advanced.claimed[0]
                held = Held(kind=job.kind, id=job.id, stream=stream, token=1, destination=job.destination)
                following = self._run(held, claimed_within(advanced, job), advanced.standing, errand)
                if following is None:
                    return
                advanced = following
            elif advanced.behind and self._shortcuts and not self.stopping.is_set():
                errand.reduces()
                advanced = self._advancer.advance(stream, self._claimer(errand))
            else:
                return
        self._wake.hint("advance", stream)

    def _tell(self, stream: StreamId, advanced: Advanced) -> None:
        """Wake others for what this thread will not do itself."""
        for job in advanced.owed:
            self._wake.hint(job.kind, job.id)
        if advanced.delivers:
            self._wake.hint("deliver", stream)
        if advanced.following is not None:
            self._pass_on(advanced.following, is_busy=bool(advanced.claimed) or advanced.behind)
        if advanced.timer is not None:
            self._wake.at("advance", stream, advanced.timer, now_ms=advanced.now)
        if advanced.behind and self.stopping.is_set():
            self._wake.hint("advance", stream)

    def _pass_on(self, job: JobId, *, is_busy: bool) -> None:
        """A delivery whose turn it is now: the next thing for a thread that has nothing else to do, else anybody's."""
        if self._shortcuts and not is_busy and not self.stopping.is_set():
            self._lookout.offer(Due("deliver", self._keys.shard(job), job, 0))
        else:
            self._wake.hint("deliver", job)

    def _job(self, kind: JobKind, job: JobId, errand: Errand) -> None:
        if not errand.reserve(job, kind):
            return
        stream = stream_of(job)
        claim = self._claims.claim(kind, job, effect=self._declared(kind, job))
        if claim is None:
            return
        held = Held(kind=kind, id=job, stream=stream, token=claim.token, destination=claim.destination)
        standing = self._advancer.stand(stream) if self._shortcuts else None
        following = self._run(held, claim, standing, errand)
        if following is None:
            return
        try:
            self._follow(stream, following, errand)
        except (NewerVersion, Conflict) as error:
            self._leave(stream, error)

    def _declared(self, kind: JobKind, job: JobId) -> str:
        """The effect to claim with; the worst for a job that is not there to be claimed, as hints may name any."""
        if kind == "tool":
            row = self._claims.look([job])[job]
            if row is None or row.state != "requested" or row.kind != kind:
                return "unknown"
        return self._effect(kind, job)

    def _effect(self, kind: JobKind, job: JobId) -> str:
        return self._runners[kind].effect(Held(kind=kind, id=job, stream=stream_of(job), token=0))

    def _run(self, held: Held, claim: Claim, standing: Standing | None, errand: Errand) -> Advanced | None:
        """Run a claimed job to its end; what the settlement led to, None when nothing more is ours."""
        errand.waits()
        try:
            result = self._runners[held.kind].run(held, claim)
        except (Revoked, Unavailable):
            raise
        except Exception as error:
            # The edge to what runs outside: one broken run must not keep its job from ever ending.
            self._reporter.failed(held.kind, held.id, error)
            result = Again(error="defect", delay_ms=DEFECT_DELAY_MS)
        match result:
            case Settled(events=events):
                settled = self._settle(held, [one.under(current()) for one in events], standing, errand)
                self._faults.at("llm.settled")
                return settled
            case Again(error=code, delay_ms=delay_ms):
                released = self._claims.release(
                    held,
                    error=code,
                    delay_ms=delay_ms,
                    free=result.free or result.waits,
                    waits=result.waits,
                    extra=result.extra,
                )
                if released is not None and not self.stopping.is_set():
                    self._wake.at(held.kind, held.id, released.retry_at, now_ms=released.now)
                elif released is not None:
                    self._wake.hint(held.kind, held.id)
            case Lost():
                # Refused, as it is no longer ours; what is left of the claim goes.
                self._claims.release(held, error="lost", free=True)
        return None

    def _settle(
        self, held: Held, events: Sequence[EventInput], standing: Standing | None, errand: Errand
    ) -> Advanced | None:
        riding = standing if self._shortcuts else None
        try:
            return self._insist(lambda: self._advancer.settle(held, events, riding, self._claimer(errand)))
        except TooLarge as error:
            # Run again, it would be paid for again and be as large.
            self._reporter.failed("settle", held.id, error)
            failed = too_large(held, events[-1]).events
            return self._insist(lambda: self._advancer.settle(held, failed, None))

    def _insist(self, settle: Callable[[], Advanced | None]) -> Advanced | None:
        """Record an outcome that was paid for as soon as the store is back. The lease's end ends the process."""
        while True:
            try:
                return settle()
            except Revoked:
                raise
            except (Unavailable, Overloaded) as error:
                if self.stopping.wait(INSIST_S):
                    raise
                self._reporter.failed("settle", "", error)

    def _deliver(self, stream: StreamId) -> None:
        shard = self._keys.shard(stream)
        # This outbox and nothing else: what else is due of this kind may be a job, which is not taken but claimed.
        for taken in self._due.take("deliver", shard, most=0, hinted=stream, counted=False):
            self._deliverer.run(StreamId(taken.id))

    def _next(self) -> Due | None:
        return self._lookout.next() if self._shortcuts else None

    def _hand_over(self) -> None:
        found = self._next()
        if found is not None:
            self._wake.hint(found.kind, found.id)

    def _claimer(self, errand: Errand) -> Claimer:
        """Claims the first job of a commit if a slot is free."""
        if not self._shortcuts or self.stopping.is_set():
            return claim_nothing
        chosen: list[str] = []

        def claim(job: StartJob) -> JobStarted | None:
            if job.delay_ms or (chosen and chosen[0] != job.id) or not errand.reserve(job.id, job.kind):
                return None
            chosen[:] = [job.id]
            is_tool = job.kind == "tool"
            effect = self._effect_of(job.tool) if is_tool else self._effect(job.kind, job.id)
            return JobStarted(job=job.id, attempt=1, incarnation=self._incarnation, effect=effect)

        return claim
