"""The engine put together from settings: the one place where services meet.

It lives here and not in `deploy` so that a plain `celery -A tasks.celery worker` finds it too.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property

from services.channels.http.addresses import Addresses
from services.channels.places import Places
from services.config import AgentConfig
from services.diagnosis.backlog import Backlog
from services.diagnosis.metrics import Metrics
from services.diagnosis.roles import read_roles
from services.diagnosis.totals import Totals
from services.diagnosis.wait import Explainer, WorkerCensus
from services.errors import Invalid, Unavailable
from services.foundation import Foundation
from services.inbound.answering import Answering
from services.inbound.router import Router
from services.jobs.census import Census
from services.jobs.due import DueSets
from services.jobs.relay import Relay
from services.jobs.wake import HintPort, Wake
from services.llm.runner import Persona
from services.logs import get_logger
from services.outbox.obligations import Obligations
from services.outbox.replies import Replies
from services.plugins import models_of, patterns_of
from services.processors.agent.processor import Agent
from services.processors.agent.rules import Rules
from services.processors.attaching import Attacher
from services.processors.breaker import Breaker
from services.processors.lineage import Lineage
from services.processors.registry import ProcessorRegistry
from services.schedule.outcomes import Outcomes
from services.schedule.processor import Schedule
from services.sessions.declared import Declared
from services.sessions.facade import Sessions
from services.settings import Settings, store_addresses
from services.streams.admission import Guard, admit, await_store, inspect_store, is_accepting
from services.streams.keys import INBOUND, SCHEDULE, Keys
from services.streams.log import Log
from services.streams.store import Store
from services.tokens import Tokens
from services.variables import without_password

HEARTBEATS_MISSED = 3
# Five deaths in a minute are the last: with this, a store that is away can not cause them.
STORE_WAIT_S = 20.0
DEFAULT_PROMPT = "You are a helpful assistant."


class Engine:
    """Everything a process needs, web or worker. `port` is where its hints go.

    Waits `within_s` for a store that is away, unless `is_stopping`. Raises: ConfigurationError, Unavailable.
    """

    def __init__(
        self,
        foundation: Foundation,
        port: HintPort,
        *,
        within_s: float = STORE_WAIT_S,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.settings = settings = foundation.settings
        self.telemetry, self.config = foundation.telemetry, foundation.config
        self.baggage_keys = foundation.baggage_keys
        self.accounts, self.faults = foundation.accounts, foundation.faults
        counters = self.telemetry.counters
        self.store = foundation.store()
        self.keys = _admitted(self.store, settings, within_s=within_s, is_stopping=is_stopping)
        self.logger = get_logger("engine")
        timings = settings.timings
        self.census = Census(self.store, self.keys, alive_s=HEARTBEATS_MISSED * timings.lease_renew_s + 1)
        self.wake = Wake(
            self.keys,
            port,
            enabled=settings.test_shortcuts,
            free=self.census.free_slots,
            failed=lambda error: self.logger.warning("hints_lost", error=type(error).__name__),
            counters=counters,
        )
        self.totals = Totals(self.store, self.keys, counters)
        self.due = DueSets(self.store, self.keys, grace_s=timings.take_grace_s)
        self.log = Log(
            self.store,
            self.keys,
            idempotency_days=self.config.retention.idempotency_days,
            most_waiting=self.config.limits.max_pending_inputs,
            woken=lambda stream: self.wake.hint("advance", stream),
            guard=Guard(self.store).check,
            tracer=self.telemetry.tracer,
        )
        self.agent = Agent(self._rules)
        breaker = Breaker(
            per_minute=self.config.limits.events_per_minute, burst=self.config.limits.events_burst
        )
        plugins = foundation.plugins
        self.tools, self.providers = plugins.tools, plugins.providers
        self.channels = plugins.channels
        self.places = Places(settings, self.accounts, self.channels)
        answering = Answering(self.store, self.keys)
        self.sources = foundation.sources(lambda: answering)
        self.registry = ProcessorRegistry(
            [self.agent, breaker, Lineage(), Replies()],
            plugins.processors,
            patterns_of(self.config),
            apart={INBOUND: [Router(self.sources)], SCHEDULE: [Schedule()]},
            on_demand=[(self._obligations(), Obligations.begins), (Outcomes(), Outcomes.begins)],
        )

    def _agent_config(self, name: str) -> AgentConfig:
        return self.config.agents.get(name) or self.config.agents["default"]

    def _rules(self, name: str) -> Rules:
        agent = self._agent_config(name)
        return Rules(
            debounce_ms=agent.debounce_ms,
            max_steps=agent.max_steps,
            max_turns_without_human=agent.max_turns_without_human,
            max_tokens_per_hour=agent.max_tokens_per_hour or 0,
            max_microusd_per_hour=agent.max_microusd_per_hour,
            job_expires_ms=int(self.config.limits.job_expires_s * 1000),
            config_hash=self.config.hash,
        )

    def _obligations(self) -> Obligations:
        limits = self.config.limits
        return Obligations(
            overdue_ms=int(limits.reply_overdue_s * 1000), gives_up_ms=int(limits.reply_gives_up_s * 1000)
        )

    def persona(self, name: str) -> Persona:
        """How an agent asks its model."""
        agent = self._agent_config(name)
        return Persona(
            system=agent.system_prompt or DEFAULT_PROMPT,
            models=models_of(self.settings, agent),
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
            wakes_at=self.agent.wakes_at,
            caps=self.agent.caps,
            census=self.worker_census,
            dead_roles=self._given_up,
        )

    def worker_census(self) -> WorkerCensus:
        """The workers alive now."""
        beats = self.census.workers().values()
        return WorkerCensus(
            len(beats),
            sum(beat.free for beat in beats),
            sum(beat.stuck for beat in beats),
            self.census.processors(),
        )

    def metrics(self, version: str) -> Metrics:
        """What the store says of all processes."""
        backlog = Backlog(self.log)
        return Metrics(self.store, self.due, self.worker_census, self.totals, version, inbound=backlog.sizes)

    def sessions(self) -> Sessions:
        """What the API offers."""
        contracts = {name: p.contract for name, p in self.registry.all().items()}
        return Sessions(
            self.log,
            agents=self.config.agents,
            processors=contracts,
            explain=self.explainer,
            faults=self.faults,
            reachable=Addresses(self.settings.callback_allow),
            workers=lambda: len(self.census.workers()),
            unreconciled=self.settings.github.unreconciled,
            places=self.places,
        )

    def tokens(self) -> Tokens:
        """Who may use the API; makes the first token at the first start."""
        book = Tokens(self.store, self.keys.tokens)
        configured = self.settings.api_token.reveal() if self.settings.api_token else None
        book.ensure_first(
            configured=configured,
            copy=self.settings.token_copy,
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


def relay_of(engine: Engine) -> Relay:
    """A relay for any process of the engine."""
    return Relay(
        engine.store,
        engine.keys,
        engine.due,
        engine.wake,
        every_s=engine.settings.timings.relay_s,
        counters=engine.telemetry.counters,
        failed=lambda error: engine.logger.warning("relay_round_failed", error=type(error).__name__),
    )


def attacher_of(engine: Engine) -> Attacher:
    """Attaches configured processors to existing streams; run by beat."""
    return Attacher(
        engine.log,
        engine.registry,
        failed=lambda error: engine.logger.warning("attaching_failed", error=type(error).__name__),
    )


def declared_of(engine: Engine) -> Declared:
    """Brings the declared triggers into the store; run by workers and beat."""
    return Declared(
        engine.sessions().triggers,
        engine.config.triggers,
        changed=lambda trigger, change: engine.logger.info(
            "trigger_declared", trigger=trigger, change=change
        ),
        failed=lambda trigger, error: engine.logger.warning(
            "trigger_not_declared",
            trigger=trigger,
            error=type(error).__name__,
            # What is wrong with it is said of the configuration, which holds no secrets.
            reason=str(error) if isinstance(error, Invalid) else "",
        ),
    )


def check_store(settings: Settings, *, within_s: float = 0.0) -> None:
    """Check the log store before anything uses it; wait `within_s` for one that is away.

    Raises: ConfigurationError, Unavailable.
    """
    store = Store(store_addresses(settings)[0])
    try:
        _admitted(store, settings, within_s=within_s)
    except Unavailable as error:
        if settings.store_url is None:
            raise
        address = without_password(settings.store_url)
        raise Unavailable(f"{error}; TURNWRIGHT_STORE_URL names {address}") from error
    store.close()


def glance_at_store(settings: Settings, *, answer_s: float = 1.0) -> None:
    """Check a log store that answers at once. Raises: ConfigurationError; Unavailable where none was started."""
    store = Store(store_addresses(settings)[0], timeout_s=answer_s, retries=1, repeats_timeouts=False)
    with suppress(Unavailable):
        _admitted(store, settings, within_s=0)
    store.close()


def _admitted(
    store: Store, settings: Settings, *, within_s: float, is_stopping: Callable[[], bool] = lambda: False
) -> Keys:
    try:
        await_store(store, within_s=within_s, is_stopping=is_stopping)
        return admit(store, settings.namespace)
    except BaseException:
        store.close()
        raise
