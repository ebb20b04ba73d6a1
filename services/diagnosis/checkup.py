"""The checkup behind `turnwright doctor`: each part of an installation, looked at by itself.

Every check says what it found or what to do; none changes anything, and one that fails stops no other.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Literal

import msgspec

from services.config import Config, load_config
from services.diagnosis.roles import read_roles
from services.errors import ConfigurationError, TurnwrightError
from services.jobs.census import Census
from services.jobs.due import DueSets
from services.plugins import check_plugins, models_of
from services.settings import Settings, store_addresses
from services.streams.admission import NEARLY_FULL, inspect_store, problems_of
from services.streams.keys import Keys
from services.streams.store import Store, translated

OVERDUE_S = 30.0
ALIVE_S = 15.0

State = Literal["ok", "warning", "problem"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One checked part. `text` says what is so, or what to do about it."""

    part: str
    state: State
    text: str


def check_up(settings: Settings) -> Iterator[Finding]:
    """Check everything that can be checked from here, in the order things depend on each other."""
    config = yield from _config(settings)
    yield from _plugins(settings, config)
    yield from _roles(settings)
    store = yield from _store(settings)
    if store is not None:
        yield from _work(settings, store)
        store.close()
    yield from _broker(settings)


def _config(settings: Settings) -> Generator[Finding, None, Config]:
    try:
        config = load_config(settings.config_path)
    except ConfigurationError as error:
        for problem in error.problems:
            yield Finding(part="configuration", state="problem", text=problem)
        return Config()
    agents = ", ".join(sorted(config.agents))
    yield Finding(part="configuration", state="ok", text=f"{len(config.agents)} agent(s): {agents}")
    return config


def _plugins(settings: Settings, config: Config) -> Iterator[Finding]:
    models = sorted({model for agent in config.agents.values() for model in models_of(settings, agent)})
    yield from _tried(
        "plugins", lambda: check_plugins(settings, config), f"models in use: {', '.join(models)}"
    )


def _roles(settings: Settings) -> Iterator[Finding]:
    roles = read_roles(settings.home)
    if not roles:
        yield Finding(part="processes", state="warning", text="nothing is supervised on this data directory")
    for name, role in sorted(roles.items()):
        if role.state == "down":
            because = f" ({role.reason})" if role.reason else ""
            text = (
                f"given up after repeated deaths{because}, last {role.last_exit}: see its log, then restart"
            )
            yield Finding(part=name, state="problem", text=text)
        elif role.state in ("backoff", "stopped"):
            yield Finding(part=name, state="warning", text=f"{role.state}: last {role.last_exit}")
        else:
            yield Finding(part=name, state="ok", text=f"{role.state}, {role.restarts} restart(s)")


def _store(settings: Settings) -> Generator[Finding, None, Store | None]:
    try:
        store = Store(store_addresses(settings)[0], retries=1)
        facts = inspect_store(store)
    except TurnwrightError as error:
        yield Finding(part="log store", state="problem", text=str(error))
        return None
    problems = problems_of(facts, settings.namespace)
    for problem in problems:
        yield Finding(part="log store", state="problem", text=problem)
    if not facts.rewrite_ok:
        text = "its append-only file can not be written: free disk space"
        yield Finding(part="log store", state="problem", text=text)
    if facts.used >= NEARLY_FULL:
        text = f"memory is {facts.used:.0%} full, new inputs are refused: raise maxmemory"
        yield Finding(part="log store", state="problem", text=text)
    if not problems and facts.rewrite_ok and facts.used < NEARLY_FULL:
        shards = f"{facts.shards} shards, schema {facts.schema}" if facts.shards else "empty, not used yet"
        yield Finding(
            part="log store", state="ok", text=f"{facts.server}, {shards}, namespace {settings.namespace}"
        )
    return store


def _work(settings: Settings, store: Store) -> Iterator[Finding]:
    keys = Keys(settings.namespace, inspect_store(store).shards or 1)
    workers = Census(store, keys, alive_s=ALIVE_S).workers()
    if not workers:
        yield Finding(part="workers", state="problem", text="none is alive: nothing that is due gets done")
    else:
        free = sum(beat.free for beat in workers.values())
        yield Finding(part="workers", state="ok", text=f"{len(workers)} alive, {free} free slots")
    now, lowest = DueSets(store, keys, grace_s=0).lowest()
    for one in lowest:
        late_s = (now - one.at) / 1000
        if late_s > OVERDUE_S:
            text = f"{one.id} has been due for {late_s:.0f} s"
            yield Finding(part=f"due {one.kind}", state="warning", text=text)


def _broker(settings: Settings) -> Iterator[Finding]:
    def ping() -> None:
        broker = Store(store_addresses(settings)[1], retries=1)
        with translated():
            broker.client.info("server")
        broker.close()

    yield from _tried("broker", ping, "answers")


def _tried(part: str, check: Callable[[], object], good: str) -> Iterator[Finding]:
    try:
        check()
    except ConfigurationError as error:
        for problem in error.problems:
            yield Finding(part=part, state="problem", text=problem)
    except TurnwrightError as error:
        yield Finding(part=part, state="problem", text=str(error))
    else:
        yield Finding(part=part, state="ok", text=good)
