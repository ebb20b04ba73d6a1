"""The engine of a worker process: with a lease, a relay, and the runs it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from services.channels.ends import Ends
from services.channels.registry import channels_of, signs_of
from services.channels.shown import Shown
from services.channels.working import Working
from services.engine import STORE_WAIT_S, Engine, declared_of, relay_of
from services.errors import TurnwrightError
from services.foundation import Foundation
from services.inbound.commands import Commands
from services.inbound.routes import Routes
from services.jobs.claims import Claim, Claims
from services.jobs.incarnation import REVOKED_EXIT, Heartbeat, Lease, host_id, is_proven_dead
from services.jobs.observer import Observer
from services.jobs.orphans import Orphans
from services.jobs.outcome import Result, Runner
from services.jobs.running import Running
from services.jobs.share import Share
from services.jobs.slots import Slots
from services.jobs.traces import RunSpans
from services.jobs.wake import HintPort
from services.jobs.watchdog import Watchdog
from services.jobs.worker import Worker
from services.llm.prices import Prices
from services.llm.runner import LLMRunner
from services.llm.spans import ChatSpans
from services.logs import get_logger
from services.outbox.attempt import Attempts, Terms
from services.outbox.deliveries import Deliveries
from services.outbox.streams import StreamDeliverer
from services.processors.advance import Advancer, Committed, Held
from services.schedule.dispatch import Dispatch
from services.schedule.trimming import Trimming
from services.streams.keys import INBOUND, KINDS, SCHEDULE
from services.tools.jobs import ToolJobs
from services.tools.spans import ToolSpans

if TYPE_CHECKING:
    from services.inbound.reconciler import Reconciler

# A store that hangs holds every thread for as long as its client repeats: some 12 s for one answer.
STUCK_GRACES = 3.0
STUCK_EXIT = 70


class WorkerEngine(Engine):
    """The engine of a worker process: with a lease, a relay, and the runs it holds."""

    def __init__(
        self,
        foundation: Foundation,
        port: HintPort,
        *,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(foundation, port, is_stopping=is_stopping)
        self._is_stopping = is_stopping
        settings = self.settings
        timings = settings.timings
        self.slots = Slots(settings.slots)
        self.lease = Lease(
            self.store,
            self.keys,
            ttl_s=timings.lease_ttl_s,
            renew_s=timings.lease_renew_s,
            beat=self._beat,
            lost=lambda: self.telemetry.leave(REVOKED_EXIT),
        )
        incarnation = self.lease.incarnation
        self.claims = Claims(self.log, incarnation, delivery_lease_s=timings.delivery_lease_s)
        self.running = Running(
            self.store, self.claims, self.keys.cancel_channel, notices=settings.test_shortcuts
        )
        self.relay = relay_of(self)
        self._spans = RunSpans(self.telemetry.tracer, self.telemetry.counters)
        self.tool_jobs = ToolJobs(
            self.log,
            self.running,
            self.tools,
            allowed=lambda name: self._agent_config(name).tools,
            may_start=self._may_start,
            faults=self.faults,
            spans=ToolSpans(self._spans, settings.trace_content),
        )
        self._observer = Observer(self.telemetry.tracer, self.telemetry.counters)
        self._ends = Ends(Shown(self.store, self.keys), gave_up=self._sign_left)
        self._working = self._working_in_threads()
        self._trimming = Trimming(
            self.log, failed=lambda error: self.logger.warning("not_trimmed", error=type(error).__name__)
        )
        self._reconciler = self._reconciler_of_github()
        self._declared = declared_of(self)
        self.llm = self._llm()
        self.worker = self._worker(incarnation)
        self.watchdog = Watchdog(
            self.worker.errands.reducing,
            limit_s=STUCK_GRACES * timings.take_grace_s,
            stuck=self._restart,
        )
        self.orphans = Orphans(
            self.store,
            self.keys,
            self.claims,
            self.wake,
            in_hand=self.worker.errands.in_hand,
            incarnation=incarnation,
        )

    def _llm(self) -> LLMRunner:
        return LLMRunner(
            self.log,
            self.claims,
            self.running,
            self.providers,
            self.persona,
            prices=Prices(self.config.prices),
            may_start=self._may_start,
            faults=self.faults,
            spans=ChatSpans(self._spans, self.settings.trace_content),
        )

    def _worker(self, incarnation: str) -> Worker:
        return Worker(
            self.keys,
            due=self.due,
            claims=self.claims,
            advancer=Advancer(
                self.log,
                self.registry,
                incarnation,
                keep_jobs_s=self.config.retention.settled_jobs_hours * 3600,
                delivery_lease_s=self.settings.timings.delivery_lease_s,
                is_dead=partial(is_proven_dead, host=host_id()),
                committed=self._committed,
            ),
            runners={"llm": self.llm, "tool": self.tool_jobs, "deliver": self._deliver()},
            deliverer=StreamDeliverer(self.log),
            slots=self.slots,
            wake=self.wake,
            incarnation=incarnation,
            effect_of=self.tool_jobs.effect_of,
            reporter=LogReporter(),
            faults=self.faults,
            shortcuts=self.settings.test_shortcuts,
            tracer=self.telemetry.tracer,
            chooser=Share(self.census, incarnation).chooser,
        )

    def _working_in_threads(self) -> Working | None:
        signs = signs_of(self.settings, self.config, self.accounts)
        return Working(self.log, signs, self._ends) if signs else None

    def _sign_left(self, session: str, channel: str, code: str) -> None:
        self.telemetry.counters.add("turnwright_signs_left_total", channel)
        self.logger.warning("sign_left_behind", session=session, code=code)

    def _reconciler_of_github(self) -> Reconciler | None:
        if self.settings.github.unreconciled:
            return None
        from services.channels.github.deliveries import HookDeliveries
        from services.inbound.reconcile import Reconcile
        from services.inbound.reconciler import Reconciler

        deliveries = HookDeliveries(self.accounts.github())
        return Reconciler(
            Reconcile(self.log, self.sources["github"], deliveries).look,
            self.sessions().reconciling,
            failed=lambda error: self.logger.warning("not_reconciled", error=type(error).__name__),
        )

    def _committed(self, done: Committed) -> None:
        self._observer.committed(done)
        self._trimming.committed(done)
        if self._working is not None:
            self._working.committed(done)

    def _deliver(self) -> ByStream:
        timings = self.settings.timings
        terms = Terms(
            lease_s=timings.delivery_lease_s,
            least_s=timings.delivery_least_s,
            timeout_s=timings.delivery_timeout_s,
            attempts=self.config.limits.delivery_attempts,
        )
        outward = Deliveries(
            self.log,
            self.running,
            channels_of(self.settings, self.store, self.keys, self.accounts, self.channels, ends=self._ends),
            terms=terms,
            may_start=self._may_start,
            faults=self.faults,
            spans=self._spans,
        )
        # Into a session nothing is sent twice, however late.
        inner = msgspec.structs.replace(terms, least_s=0.0)
        attempts = Attempts(self.running, inner, may_start=self._may_start)
        inward = Routes(
            self.log,
            self.sources,
            self.sessions().controls,
            attempts,
            commands=Commands(self.log, self.explainer),
            faults=self.faults,
            spans=self._spans,
        )
        due = Dispatch(
            self.log,
            self.config.agents,
            self.places,
            attempts,
            faults=self.faults,
            spans=self._spans,
        )
        return ByStream({INBOUND: inward, SCHEDULE: due}, outward)

    def _may_start(self) -> bool:
        return self.lease.remaining_s() > 0

    def _restart(self, age_s: float) -> None:
        self.logger.fatal("thread_stuck", seconds=round(age_s, 1))
        self.telemetry.leave(STUCK_EXIT)

    def _beat(self) -> Heartbeat:
        versions = {name: p.contract.version for name, p in self.registry.all().items()}
        return Heartbeat(
            kinds=KINDS,
            slots=self.slots.total,
            free=self.slots.free,
            stuck=self.tool_jobs.runner.stuck_threads(),
            processors=versions,
        )

    def start(self) -> None:
        """Take the lease and begin to look after the due sets. Raises: Unavailable, Overloaded."""
        self.wake.start()
        self.totals.start()
        self.lease.start(within_s=STORE_WAIT_S, is_stopping=self._is_stopping)
        self.running.start()
        self.relay.start()
        self.watchdog.start()
        self.orphans.start()
        self._declared.start()
        if self._working is not None:
            self._working.start()
        if self._reconciler is not None:
            self._reconciler.start()

    def stop(self) -> None:
        """Everything that ran here has ended or is found by others."""
        self._declared.stop()
        if self._reconciler is not None:
            self._reconciler.stop()
        if self._working is not None:
            self._working.stop()
        self.watchdog.stop()
        self.orphans.stop()
        self.relay.stop()
        self.running.stop()
        try:
            self.lease.stop()
        except TurnwrightError as error:
            self.logger.warning("lease_not_returned", error=type(error).__name__)
        self.wake.stop()
        self.totals.stop()
        self.store.close()
        self.telemetry.stop()


class ByStream:
    """Deliveries go both ways: what the streams that begin with a key of `inward` owe goes into sessions, what a
    session owes out of it."""

    def __init__(self, inward: Mapping[str, Runner], outward: Runner) -> None:
        self._inward, self._outward = inward, outward

    def effect(self, held: Held) -> str:
        """See `Runner`."""
        return self._of(held).effect(held)

    def run(self, held: Held, claim: Claim) -> Result:
        """See `Runner`."""
        return self._of(held).run(held, claim)

    def _of(self, held: Held) -> Runner:
        return next(
            (each for prefix, each in self._inward.items() if held.stream.startswith(prefix)), self._outward
        )


class LogReporter:
    """Writes down what a worker could not do: ids and kinds, nothing else."""

    def __init__(self) -> None:
        self._logger = get_logger("worker")

    def failed(self, what: str, id: str, error: BaseException) -> None:
        """See `jobs.worker.Reporter`."""
        self._logger.warning("not_done", kind=what, id=id, error=type(error).__name__)
