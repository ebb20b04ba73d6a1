"""The checkup behind `turnwright doctor`: each part of an installation, looked at by itself.

Every check says what it found or what to do; none changes anything, and one that fails stops no other.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from services.channels.accounts import Accounts
from services.channels.http.secrets import COPY_NAME, SigningSecrets
from services.channels.installed import Installed
from services.channels.places import Places
from services.channels.shown import Shown
from services.config import Config, load_config
from services.diagnosis.backlog import Backlog
from services.diagnosis.channels import channel_states
from services.diagnosis.findings import Finding, State
from services.diagnosis.github import account_of
from services.diagnosis.roles import RoleState, read_supervised
from services.diagnosis.slack import workspace_of
from services.diagnosis.spooled import check_spool
from services.diagnosis.triggers import check_triggers, unanswerable
from services.errors import ConfigurationError, TurnwrightError
from services.jobs.census import Census
from services.jobs.due import DueSets
from services.jobs.slots import RESERVED
from services.plugins import Plugins, check_plugins, models_of
from services.private_copy import read_copy
from services.processes import is_running
from services.settings import Settings, store_addresses
from services.streams.admission import NEARLY_FULL, inspect_store, problems_of
from services.streams.keys import Keys
from services.streams.log import Log
from services.streams.store import Store, translated
from services.telemetry.otel import Otel
from services.variables import without_password

OVERDUE_S = 30.0
COLLECTOR_S = 2.0
ALIVE_S = 15.0

# What is read here need not be what the server was started with.
_HERE = "in this shell's environment"
_START = "start it with `make up`"
_OVERCOMMIT = Path("/proc/sys/vm/overcommit_memory")


def check_up(settings: Settings) -> Iterator[Finding]:
    """Check everything that can be checked from here, in the order things depend on each other."""
    config = yield from _config(settings)
    installed = yield from _plugins(settings, config)
    yield from _channels(settings, config, installed)
    for said in unanswerable(config.triggers, Places(settings, Accounts(settings), installed)):
        yield Finding(part="triggers", state="warning", text=f"{_HERE}: {said}")
    running = yield from _roles(settings)
    advice = "" if running else f": {_START}"
    yield from _memory(settings)
    yield from check_spool(settings.spool, namespace=settings.namespace)
    store = yield from _store(settings, _where("STORE", settings.store_url) or advice)
    if store is not None:
        yield from _work(settings, store, workers=sum(name.startswith("worker-") for name in running))
        yield from check_backlog(store, _keys(settings, store))
        yield from check_signs(store, _keys(settings, store))
        yield from check_triggers(store, _keys(settings, store))
        yield from _callbacks(settings, store)
        store.close()
    # A store named alone is the broker too.
    broker = "STORE" if settings.broker_url == settings.store_url else "BROKER"
    yield from _broker(settings, _where(broker, settings.broker_url) or advice)
    yield from _collectors(settings.otel)


def _config(settings: Settings) -> Generator[Finding, None, Config]:
    try:
        config = load_config(settings.config_path)
    except ConfigurationError as error:
        for problem in error.problems:
            yield Finding(part="configuration", state="problem", text=f"{_HERE}: {problem}")
        return Config()
    agents = ", ".join(sorted(config.agents))
    text = f"{_HERE}: {len(config.agents)} agent(s): {agents}"
    yield Finding(part="configuration", state="ok", text=text)
    return config


def _plugins(settings: Settings, config: Config) -> Generator[Finding, None, Mapping[str, Installed]]:
    """The channels that packages bring; none where something is broken."""
    models = sorted({model for agent in config.agents.values() for model in models_of(settings, agent)})
    checked: list[Plugins] = []
    good = f"models {', '.join(models)}"
    for found in _tried("plugins", lambda: checked.append(check_plugins(settings, config)), good):
        tools = f"; tools {', '.join(checked[0].tools.names())}" if checked else ""
        yield msgspec.structs.replace(found, text=f"{_HERE}: {found.text}{tools}")
    return checked[0].channels if checked else {}


def _channels(settings: Settings, config: Config, installed: Mapping[str, Installed]) -> Iterator[Finding]:
    for each in channel_states(settings, config, installed):
        text = "; ".join((each.told(settings.public_url or ""), *each.doubts))
        state: State = "warning" if each.doubts else "ok"
        yield Finding(part=each.name, state=state, text=f"{_HERE}: {text}")
    if not settings.slack.off:
        is_known, said = workspace_of(settings.slack)
        yield Finding(part="workspace", state="ok" if is_known else "problem", text=said)
    if not settings.github.off:
        is_known, said = account_of(settings.github)
        yield Finding(part="account", state="ok" if is_known else "problem", text=said)


def _roles(settings: Settings) -> Generator[Finding, None, list[str]]:
    """The names of the roles that run under a supervisor that runs."""
    supervised = read_supervised(settings.home)
    if supervised is None:
        yield Finding(part="processes", state="warning", text="nothing is supervised on this data directory")
        return []
    supervisor, roles = supervised.supervisor, supervised.roles
    if not is_running(supervisor.pid, supervisor.started):
        if all(role.state == "stopped" for role in roles.values()):
            yield Finding(part="processes", state="warning", text=f"Turnwright was stopped: {_START}")
        else:
            yield Finding(part="processes", state="problem", text=f"the supervisor is gone: {_START}")
        return []
    for name, role in sorted(roles.items()):
        yield _role(name, role)
    return [name for name, role in roles.items() if role.state == "running"]


def _role(name: str, role: RoleState) -> Finding:
    if role.state == "down":
        because = f" ({role.reason})" if role.reason else ""
        text = f"given up after repeated deaths{because}, last {role.last_exit}: see its log, then restart"
        return Finding(part=name, state="problem", text=text)
    if role.state in ("backoff", "stopped"):
        return Finding(part=name, state="warning", text=f"{role.state}: last {role.last_exit}")
    return Finding(part=name, state="ok", text=f"{role.state}, {role.restarts} restart(s)")


def _memory(settings: Settings) -> Iterator[Finding]:
    if settings.store_url:
        return
    with suppress(OSError):
        if _OVERCOMMIT.read_text(encoding="ascii").strip() != "1":
            text = (
                "the embedded store forks to shorten its file, which may fail when memory is short: "
                "set vm.overcommit_memory = 1 (sysctl)"
            )
            yield Finding(part="memory", state="warning", text=text)


def _store(settings: Settings, advice: str) -> Generator[Finding, None, Store | None]:
    try:
        store = Store(store_addresses(settings)[0], retries=1)
        facts = inspect_store(store)
    except TurnwrightError as error:
        yield Finding(part="log store", state="problem", text=_advised(str(error), advice))
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


def _work(settings: Settings, store: Store, *, workers: int) -> Iterator[Finding]:
    keys = _keys(settings, store)
    beats = Census(store, keys, alive_s=ALIVE_S).workers().values()
    if not beats:
        yield Finding(part="workers", state="problem", text="none is alive: nothing that is due gets done")
    else:
        free, slots = sum(beat.free for beat in beats), sum(max(1, beat.slots - RESERVED) for beat in beats)
        text = (
            f"{len(beats)} alive, {free} of {slots} slots for models and tools are free "
            f"({RESERVED} more in each worker are kept for reductions)"
        )
        yield Finding(part="workers", state="ok", text=text)
    if 0 < len(beats) < workers:
        text = f"only {len(beats)} of the {workers} that run here report that they are alive"
        yield Finding(part="workers", state="warning", text=text)
    now, lowest = DueSets(store, keys, grace_s=0).lowest()
    for one in lowest:
        late_s = (now - one.at) / 1000
        if late_s > OVERDUE_S:
            text = f"{one.id} has been due for {late_s:.0f} s"
            yield Finding(part=f"due {one.kind}", state="warning", text=text)


def _keys(settings: Settings, store: Store) -> Keys:
    return Keys(settings.namespace, inspect_store(store).shards or 1)


def check_backlog(store: Store, keys: Keys) -> Iterator[Finding]:
    """Whether webhooks that were received wait for long. Raises: Unavailable."""
    pending = Backlog(Log(store, keys)).sizes()
    count, age_s = sum(pending.sources.values()), (pending.now - pending.oldest) / 1000
    if count and age_s > OVERDUE_S:
        text = (
            f"{count} received deliveries have no outcome yet, the oldest for {age_s:.0f} s:"
            " `turnwright inbound --state pending` says why"
        )
        yield Finding(part="inbound", state="warning", text=text)


def check_signs(store: Store, keys: Keys) -> Iterator[Finding]:
    """Whether threads show turns that do not run any more. Raises: Unavailable."""
    count = Shown(store, keys).failing()
    if count:
        text = (
            f"{count} thread(s) show a turn that is over, as that can not be taken back right now: it is tried again;"
            " turnwright_signs_left_total counts what was given up"
        )
        yield Finding(part="signs", state="warning", text=text)


def _callbacks(settings: Settings, store: Store) -> Iterator[Finding]:
    """Where the secret lies that receivers of callbacks need; never what it is."""
    copy = settings.home / COPY_NAME
    if settings.callback_secrets:
        count = len(settings.callback_secrets)
        text = f"{_HERE}: signed with {count} secret(s) of TURNWRIGHT_CALLBACK_SECRET"
    elif not SigningSecrets(store, Keys(settings.namespace).callback_secrets).is_made():
        text = "no secret yet: the first worker that starts makes one"
    elif read_copy(copy) is None:
        text = f"signed with the secret in the log store; workers keep a copy in {COPY_NAME} where they run"
    else:
        text = f"signed with the secret in the log store; {copy} is a copy, for those who verify it"
    yield Finding(part="callbacks", state="ok", text=text)


def _broker(settings: Settings, advice: str) -> Iterator[Finding]:
    def ping() -> None:
        broker = Store(store_addresses(settings)[1], retries=1)
        with translated():
            broker.client.info("server")
        broker.close()

    for found in _tried("broker", ping, "answers"):
        text = _advised(found.text, advice) if found.state == "problem" else found.text
        yield msgspec.structs.replace(found, text=text)


def _collectors(otel: Otel) -> Iterator[Finding]:
    """Whether something listens where traces and metrics go; without it nothing but they is lost."""
    named = {
        "traces": otel.traces_to if otel.traces else None,
        "metrics": otel.metrics_to if otel.metrics else None,
    }
    for address in sorted({each for each in named.values() if each is not None}, key=str):
        what = " and ".join(signal for signal, to in named.items() if to == address)
        try:
            socket.create_connection((address.host, address.port), timeout=COLLECTOR_S).close()
        except (OSError, UnicodeError) as error:
            text = f"{_HERE}: {what} go to {address}, where nothing answers ({type(error).__name__}): they are lost"
            yield Finding(part="collector", state="warning", text=text)
        else:
            yield Finding(
                part="collector", state="ok", text=f"{_HERE}: {what} go to {address}, which answers"
            )


def _where(name: str, url: str | None) -> str:
    """Which variable brought us to a store of one's own, and where that is; empty for an embedded one."""
    return f"; TURNWRIGHT_{name}_URL names {without_password(url)}" if url else ""


def _advised(text: str, advice: str) -> str:
    return text if "`make up`" in text else f"{text}{advice}"


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
