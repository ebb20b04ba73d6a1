"""The sides of a session, put together over one log."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.channels.http.addresses import Addresses
from services.config import AgentConfig
from services.faults import Faults
from services.processors.contract import Contract
from services.schedule.checks import KnownPlaces, NoPlaces
from services.sessions.controls import Controls
from services.sessions.inbound import Inbound
from services.sessions.inspection import Explain
from services.sessions.obligations import Obligations
from services.sessions.outbox import Outbox
from services.sessions.pages import Pages
from services.sessions.prompts import Prompts
from services.sessions.reconciling import Reconciling
from services.sessions.runs import Runs
from services.sessions.ticks import Ticks
from services.sessions.triggers import Triggers
from services.streams.log import Log


class Sessions:
    """What the API needs: `prompts` go in and are waited for, `controls` are commands, `pages` and `runs` are read.

    `outbox` and `obligations` are what sessions owe to others, `inbound` what others sent.
    `reconciling` has others asked for what they could not deliver; `unreconciled` says why that can not be.
    `workers` counts those that are alive. `triggers` are what is due, answered in `places`; `ticks` what came of it.
    """

    def __init__(
        self,
        log: Log,
        *,
        agents: Mapping[str, AgentConfig],
        processors: Mapping[str, Contract],
        explain: Explain,
        faults: Faults | None = None,
        reachable: Addresses | None = None,
        workers: Callable[[], int] = lambda: 1,
        unreconciled: str = "GitHub is off",
        places: KnownPlaces | None = None,
    ) -> None:
        self.prompts = Prompts(log, agents, faults or Faults(None), reachable or Addresses())
        self.controls = Controls(log, explain, processors)
        self.outbox = Outbox(log)
        self.obligations = Obligations(log)
        self.pages = Pages(log, explain, self.outbox)
        self.inbound = Inbound(log, explain, workers)
        self.reconciling = Reconciling(log.store, log.keys, off=unreconciled)
        self.runs = Runs(log)
        self.triggers = Triggers(log, agents, places or NoPlaces())
        self.ticks = Ticks(log, self.triggers)
