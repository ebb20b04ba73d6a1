"""The engine put together from settings: the one place where services meet.

It lives here and not in `deploy` so that a plain `celery -A tasks.celery worker` finds it too.
"""

from __future__ import annotations

import os
from functools import cached_property

from services.config import AgentConfig, Config, load_config
from services.diagnosis.metrics import Metrics
from services.diagnosis.roles import read_roles
from services.diagnosis.wait import Explainer, WorkerCensus
from services.errors import Unavailable
from services.faults import Faults
from services.jobs.census import Census
from services.jobs.claims import Claims
from services.jobs.due import DueSets
from services.jobs.incarnation import REVOKED_EXIT, Heartbeat, Lease
from services.jobs.relay import Relay
from services.jobs.running import Running
from services.jobs.slots import Slots
from services.jobs.wake import HintPort, Wake
from services.jobs.watchdog import Watchdog
from services.jobs.worker import Worker
from services.llm.registry import ProviderRegistry
from services.llm.runner import LLMRunner, Persona
from services.logs import get_logger
from services.outbox.streams import StreamDeliverer
from services.processors.advance import Advancer
from services.processors.agent.processor import Agent
from services.processors.agent.rules import Rules
from services.processors.agent.state import AgentState
from services.processors.attaching import Attacher
from services.processors.breaker import Breaker
from services.processors.registry import ProcessorRegistry, installed
from services.sessions.facade import Sessions
from services.settings import Settings, store_addresses
from services.streams.admission import admit, inspect_store, is_accepting
from services.streams.keys import KINDS
from services.streams.log import Log
from services.streams.store import Store
from services.tokens import Tokens
from services.tools.jobs import ToolJobs
from services.tools.registry import ToolRegistry

HEARTBEATS_MISSED = 3
STUCK_AFTER_GRACE_S = 5.0
STUCK_EXIT = 70
DEFAULT_PROMPT = "You are a helpful assistant."


class Engine:
    """Everything a process needs, web or worker. `port` is where its hints go."""

    def __init__(self, settings: Settings, port: HintPort) -> None:
        self.settings = settings
        self.config: Config = load_config(settings.config_path)
        self.store = Store(store_addresses(settings)[0])
        self.keys = admit(self.store, settings.namespace)
        self.faults = Faults(settings.test_faults)
        self.logger = get_logger("engine")
        timings = settings.timings
        self.census = Census(self.store, self.keys, alive_s=HEARTBEATS_MISSED * timings.lease_renew_s + 1)
        self.wake = Wake(
            self.keys,
            port,
            enabled=settings.test_shortcuts,
            free=self.census.free_slots,
            failed=lambda error: self.logger.warning("hints_lost", error=type(error).__name__),
        )
        self.due = DueSets(self.store, self.keys, grace_s=timings.take_grace_s)
        self.log = Log(
            self.store,
            self.keys,
            idempotency_days=self.config.retention.idempotency_days,
            most_waiting=self.config.limits.max_pending_inputs,
            woken=lambda stream: self.wake.hint("advance", stream),
        )
        self.agent = Agent(self._rules)
        breaker = Breaker(
            per_minute=self.config.limits.events_per_minute, burst=self.config.limits.events_burst
        )
        self.registry = ProcessorRegistry(
            [self.agent, breaker], installed(), [(p.name, p.streams) for p in self.config.processors]
        )
        self.tools = ToolRegistry.installed()
        self.providers = ProviderRegistry()
        self.providers.check([m for agent in self.config.agents.values() for m in self._models(agent)])
        self.tools.check(agent.tools for agent in self.config.agents.values())

    def _models(self, agent: AgentConfig) -> tuple[str, ...]:
        return tuple(agent.model or self.settings.models)

    def _agent_config(self, name: str) -> AgentConfig:
        return self.config.agents.get(name) or self.config.agents["default"]

    def _rules(self, name: str) -> Rules:
        agent = self._agent_config(name)
        return Rules(
            debounce_ms=agent.debounce_ms,
            max_steps=agent.max_steps,
            max_turns_without_human=agent.max_turns_without_human,
            job_expires_ms=int(self.config.limits.job_expires_s * 1000),
            config_hash=self.config.hash,
        )

    def persona(self, name: str) -> Persona:
        """How an agent asks its model."""
        agent = self._agent_config(name)
        return Persona(
            system=agent.system_prompt or DEFAULT_PROMPT,
            model=self._models(agent)[0],
            tools=self.tools.specs(agent.tools),
            idle_s=self.config.limits.llm_idle_s,
            wall_s=self.config.limits.llm_wall_s,
        )

    @cached_property
    def explainer(self) -> Explainer:
        """Says why sessions wait."""
        return Explainer(
            self.store,
            self.keys,
            wakes_at=self._wakes_at,
            census=self.worker_census,
            dead_roles=self._given_up,
        )

    def _wakes_at(self, state: AgentState) -> int | None:
        return self.agent.wakes_at(state)

    def worker_census(self) -> WorkerCensus:
        """The workers alive now."""
        return WorkerCensus(len(self.census.workers()), self.census.processors())

    def metrics(self, version: str) -> Metrics:
        """What `/metrics` shows."""
        return Metrics(self.store, self.due, self.worker_census, version)

    def sessions(self) -> Sessions:
        """What the API offers."""
        contracts = {name: p.contract for name, p in self.registry.all().items()}
        return Sessions(
            self.log,
            agents=self.config.agents,
            processors=contracts,
            explain=self.explainer,
            faults=self.faults,
        )

    def tokens(self) -> Tokens:
        """Who may use the API; makes the first token at the first start."""
        book = Tokens(self.store, self.keys.tokens)
        configured = self.settings.api_token.reveal() if self.settings.api_token else None
        book.ensure_first(
            configured=configured,
            copy=self.settings.home / "token",
            owns_store=self.settings.store_url is None,
        )
        return book

    def is_ready(self) -> bool:
        """Whether prompts are accepted, somebody works on them, and no local role was given up.

        Raises: Unavailable.
        """
        if self._given_up():
            return False
        return is_accepting(inspect_store(self.store)) and bool(self.census.workers())

    def _given_up(self) -> tuple[str, ...]:
        roles = read_roles(self.settings.home)
        return tuple(name for name, role in roles.items() if role.state == "down")


class WorkerEngine(Engine):
    """The engine of a worker process: with a lease, a relay, and the runs it holds."""

    def __init__(self, settings: Settings, port: HintPort) -> None:
        super().__init__(settings, port)
        timings = settings.timings
        self.slots = Slots(settings.slots)
        self.lease = Lease(
            self.store,
            self.keys,
            ttl_s=timings.lease_ttl_s,
            renew_s=timings.lease_renew_s,
            beat=self._beat,
            lost=lambda: os._exit(REVOKED_EXIT),
        )
        incarnation = self.lease.incarnation
        self.claims = Claims(self.log, incarnation)
        self.running = Running(
            self.store, self.claims, self.keys.cancel_channel, notices=settings.test_shortcuts
        )
        self.relay = relay_of(self)
        self.tool_jobs = ToolJobs(
            self.log,
            self.running,
            self.tools,
            allowed=lambda name: self._agent_config(name).tools,
            faults=self.faults,
        )
        llm = LLMRunner(
            self.log,
            self.claims,
            self.running,
            self.providers,
            self.persona,
            may_start=lambda: self.lease.remaining_s() > 0,
            faults=self.faults,
        )
        self.worker = Worker(
            self.keys,
            due=self.due,
            claims=self.claims,
            advancer=Advancer(
                self.log,
                self.registry,
                incarnation,
                keep_jobs_s=self.config.retention.settled_jobs_hours * 3600,
            ),
            runners={"llm": llm, "tool": self.tool_jobs},
            deliverer=StreamDeliverer(self.log),
            slots=self.slots,
            wake=self.wake,
            incarnation=incarnation,
            effect_of=self.tool_jobs.effect_of,
            reporter=LogReporter(),
            faults=self.faults,
            shortcuts=settings.test_shortcuts,
        )

        self.watchdog = Watchdog(
            self.worker.errands, limit_s=timings.take_grace_s + STUCK_AFTER_GRACE_S, stuck=self._restart
        )

    def _restart(self, age_s: float) -> None:
        self.logger.fatal("thread_stuck", seconds=round(age_s, 1))
        os._exit(STUCK_EXIT)

    def _beat(self) -> Heartbeat:
        versions = {name: p.contract.version for name, p in self.registry.all().items()}
        return Heartbeat(kinds=KINDS, slots=self.slots.total, free=self.slots.free, processors=versions)

    def start(self) -> None:
        """Take the lease and begin to look after the due sets. Raises: Unavailable."""
        self.wake.start()
        self.lease.start()
        self.running.start()
        self.relay.start()
        self.watchdog.start()

    def stop(self) -> None:
        """Everything that ran here has ended or is found by others."""
        self.watchdog.stop()
        self.relay.stop()
        self.running.stop()
        try:
            self.lease.stop()
        except Unavailable as error:
            self.logger.warning("lease_not_returned", error=type(error).__name__)
        self.wake.stop()
        self.store.close()


class LogReporter:
    """Writes down what a worker could not do: ids and kinds, nothing else."""

    def __init__(self) -> None:
        self._logger = get_logger("worker")

    def failed(self, what: str, id: str, error: BaseException) -> None:
        """See `jobs.worker.Reporter`."""
        self._logger.warning("not_done", kind=what, id=id, error=type(error).__name__)


def relay_of(engine: Engine) -> Relay:
    """A relay for any process of the engine."""
    return Relay(
        engine.store,
        engine.keys,
        engine.due,
        engine.wake,
        every_s=engine.settings.timings.relay_s,
        failed=lambda error: engine.logger.warning("relay_round_failed", error=type(error).__name__),
    )


def attacher_of(engine: Engine) -> Attacher:
    """Attaches configured processors to existing streams; run by beat."""
    return Attacher(
        engine.log,
        engine.registry,
        failed=lambda error: engine.logger.warning("attaching_failed", error=type(error).__name__),
    )
