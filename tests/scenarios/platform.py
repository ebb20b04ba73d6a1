"""The real platform for tests: stores, web, workers and beat as processes of their own, in a fresh home.

The example packages are installed as a user's; a fake vendor answers. Parts can be killed and started anew.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
import redis

from deploy.embedded import EmbeddedStore, record_stores
from deploy.guard import die_with_parent
from services.inbound.router import Router
from services.jobs.due import DueSets
from services.outbox.obligations import Obligations
from services.outbox.replies import Replies
from services.processors.agent.processor import Agent
from services.processors.agent.rules import Rules
from services.processors.breaker import Breaker
from services.processors.lineage import Lineage
from services.schedule.outcomes import Outcomes
from services.schedule.processor import Schedule
from services.streams.admission import SHARDS
from services.streams.keys import SCHEDULE, Keys
from services.streams.store import Store
from tests.fakes.store_proxy import StoreProxy
from tests.plugins.install import SOURCES, install_plugin
from tests.scenarios.refold import assert_refolds
from tests.scenarios.vendor import Vendor, assert_sendable
from tests.worker.waiting import wait_until

ROOT = Path(__file__).parents[2]
TOKEN = "tw_token-of-the-scenarios"
# Shorter than in life, so that tests are. Not the lease: where a machine does other things too, whoever does not come
# to renew a short one ends, and what dies here is proven dead long before.
TIMINGS = {
    "lease_ttl_s": 15.0,
    "lease_renew_s": 1.0,
    "take_grace_s": 3.0,
    "relay_s": 0.25,
    "shutdown_grace_s": 4.0,
}
STOP_S = 12.0
# What the environment of whoever runs the tests must not decide.
FOREIGN = ("TURNWRIGHT_", "OPENAI_", "ANTHROPIC_", "ACME_")
BUILT_IN = (
    Agent(lambda name: Rules()),
    Breaker(per_minute=6000, burst=50_000),
    Lineage(),
    Replies(),
    Obligations(overdue_ms=1, gives_up_ms=1),
    Router({}),
    Schedule(),
    Outcomes(),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a platform is made of.

    `with_proxies`: its processes reach the stores through proxies. `workers_may_die`: they are started anew
    by whoever waits for the platform to be ready.
    """

    site: Path
    config: str = ""
    workers: int = 1
    with_beat: bool = False
    with_proxies: bool = False
    workers_may_die: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)


class Part:
    """One process, with all it ever wrote."""

    def __init__(self, name: str, command: tuple[str, ...], log: Path, options: Mapping[str, object]) -> None:
        self.name = name
        self.log = log
        self.is_expected_to_end = False
        parent = os.getpid()
        with log.open("ab") as output:
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(parent),
                **options,  # type: ignore[call-overload]  # cwd, env and pass_fds
            )

    @property
    def pid(self) -> int:
        """The process."""
        return self.process.pid

    def is_running(self) -> bool:
        """Whether it did not end."""
        return self.process.poll() is None

    def kill(self) -> None:
        """As a crash would: SIGKILL."""
        self.is_expected_to_end = True
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """As a deploy would: SIGTERM; the exit status."""
        self.is_expected_to_end = True
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


class Platform:
    """Everything on one machine, started part by part."""

    def __init__(self, folder: Path, setup: Setup, vendor: Vendor) -> None:
        self.folder, self.setup, self.vendor = folder, setup, vendor
        self.home = folder / "home"
        self.faults = folder / "faults"
        self.notes = folder / "notes"
        for each in (self.home, self.home / "run", folder / "log", self.faults):
            each.mkdir()
        (folder / "turnwright.toml").write_text(setup.config)
        self.sockets = Path(tempfile.mkdtemp(prefix="tw-s-", dir="/tmp"))
        self.log_store = EmbeddedStore(kind="log", socket=self.sockets / "log.sock", folder=folder / "log")
        self.broker = EmbeddedStore(kind="broker", socket=self.sockets / "broker.sock", folder=self.sockets)
        self.proxies: dict[str, StoreProxy] = {}
        urls: dict[str, str] = {store.kind: store.url for store in (self.log_store, self.broker)}
        if setup.with_proxies:
            for kind, url in urls.items():
                (self.sockets / f"{kind}.d").mkdir()
                self.proxies[kind] = StoreProxy(url, self.sockets / f"{kind}.d")
            urls = {kind: proxy.url for kind, proxy in self.proxies.items()}
        record_stores(self.home, log=urls["log"], broker=urls["broker"])
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.http = httpx2.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=30,
            trust_env=False,
        )
        self.parts: dict[str, Part] = {}

    def environment(self) -> dict[str, str]:
        """What every process of this platform gets."""
        kept = {n: v for n, v in os.environ.items() if not n.startswith(FOREIGN)}
        timings = {**TIMINGS, **self.setup.timings}
        own = {
            "TURNWRIGHT_HOME": str(self.home),
            "TURNWRIGHT_CONFIG": str(self.folder / "turnwright.toml"),
            "TURNWRIGHT_API_TOKEN": TOKEN,
            "TURNWRIGHT_MODEL": "acme:tiny",
            "TURNWRIGHT_LOG_FORMAT": "json",
            "TURNWRIGHT_TEST_FAULTS": str(self.faults),
            "TURNWRIGHT_TEST_TIMINGS": ",".join(f"{name}={value:g}" for name, value in timings.items()),
            "ACME_BASE_URL": self.vendor.url,
            "ACME_NOTES": str(self.notes),
            "PYTHONPATH": f"{self.setup.site}{os.pathsep}{ROOT}",
        }
        return {**kept, **own, **self.setup.environment}

    def start_stores(self) -> None:
        """Start both stores and wait until they answer."""
        for store in (self.log_store, self.broker):
            self.start_store(store)

    def start_store(self, store: EmbeddedStore) -> Part:
        """Start one store and wait until it answers."""
        part = self._start(store.kind, store.command())
        wait_until(store.is_ready)
        return part

    def start_web(self, name: str = "web", **variables: str) -> Part:
        """Start a web process, on the same port every time, whatever its name; `variables` as for workers."""
        number = self.listener.fileno()
        command = _turnwright("web", "--listen-fd", str(number))
        return self._start(name, command, pass_fds=(number,), variables=variables)

    def start_worker(self, name: str = "worker-1", **variables: str) -> Part:
        """Start a worker; `variables` come on top of its environment."""
        return self._start(name, _turnwright("worker", "--name", name), variables=variables)

    def start_beat(self, name: str = "beat") -> Part:
        """Start a beat; any number of them may run."""
        return self._start(name, _turnwright("beat"))

    def wait_ready(self, *, workers: int) -> None:
        """Wait until web answers and that many workers report."""

        def is_ready() -> bool:
            if self.setup.workers_may_die:
                self.revive()
            for part in self.parts.values():
                assert part.is_running() or part.is_expected_to_end, part.log.read_text()[-2000:]
            return self.gauge("turnwright_workers") == workers

        wait_until(is_ready, within_s=30)

    def revive(self) -> int:
        """Start workers that died by themselves anew, as a supervisor would; how many those were."""
        dead = [part for part in self.parts.values() if not part.is_running() and not part.is_expected_to_end]
        for part in dead:
            self.start_worker(part.name)
        return len(dead)

    def configure(self, config: str) -> None:
        """Write another configuration; processes that start from now on read it."""
        (self.folder / "turnwright.toml").write_text(config)

    def gauge(self, name: str) -> float | None:
        """The sum of a metric's samples; None while nobody answers."""
        try:
            answer = self.http.get("/metrics")
        except httpx2.HTTPError:
            return None
        if answer.status_code != 200:
            return None
        found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", answer.text, re.MULTILINE)
        return sum(map(float, found)) if found else None

    def timers(self) -> int:
        """How many triggers wait for their time, which nobody owes them before."""
        with closing(Store(self.log_store.url)) as store:
            now, found = DueSets(store, Keys(shards=SHARDS), grace_s=0).lowest(("advance",), most=1000)
        return sum(one.id.startswith(SCHEDULE) and one.at > now for one in found)

    def broker_client(self) -> redis.Redis:
        """A connection to the broker, for whoever disturbs it."""
        return redis.Redis.from_url(self.broker.url)

    def arm(self, point: str) -> Callable[[], bool]:
        """Let the next process that passes a fault point die there; returns whether one did."""
        (self.faults / point).touch()
        before = len(list(self.faults.glob(f"{point}.hit.*")))
        return lambda: len(list(self.faults.glob(f"{point}.hit.*"))) > before

    def move_clock(self, ms: int) -> None:
        """Let the store's time go on by `ms` at once. Workers must not run meanwhile: their leases would end."""
        keys = Keys(shards=SHARDS)
        with closing(redis.Redis.from_url(self.log_store.url)) as client:
            for shard in range(keys.shards):
                client.incrby(keys.clock(shard), ms)

    def logs(self) -> str:
        """What all parts wrote."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*.log")))

    def close(self) -> None:
        """Stop all parts, the stores last."""
        stores = ("log", "broker")
        for order in ([n for n in self.parts if n not in stores], [n for n in self.parts if n in stores]):
            running = [self.parts[name] for name in order if self.parts[name].is_running()]
            for part in running:
                part.process.send_signal(signal.SIGTERM)
            for part in running:
                part.stop()
        self.http.close()
        self.listener.close()
        for proxy in self.proxies.values():
            proxy.close()
        shutil.rmtree(self.sockets, ignore_errors=True)

    def _start(
        self,
        name: str,
        command: tuple[str, ...],
        *,
        pass_fds: tuple[int, ...] = (),
        variables: Mapping[str, str] | None = None,
    ) -> Part:
        options: dict[str, object] = {
            "cwd": self.folder,
            "env": self.environment() | dict(variables or {}),
            "pass_fds": pass_fds,
        }
        part = self.parts[name] = Part(name, command, self.folder / f"{name}.log", options)
        return part


@contextmanager
def running_platform(folder: Path, setup: Setup) -> Iterator[Platform]:
    """A whole platform for the tests of a module.

    Afterwards it must owe nothing, fold to the states it stored, and have logged no traceback.
    """
    with ExitStack() as held:
        vendor = held.enter_context(Vendor())
        platform = Platform(folder, setup, vendor)
        held.callback(platform.close)
        platform.start_stores()
        platform.start_web()
        for number in range(setup.workers):
            platform.start_worker(f"worker-{number + 1}")
        if setup.with_beat:
            platform.start_beat()
        platform.wait_ready(workers=setup.workers)
        yield platform
        vendor.release()
        wait_until(lambda: platform.gauge("turnwright_due") == platform.timers())
        # Nothing was said where only refusals were tested, or one process got nothing else of a module.
        assert assert_refolds(platform.log_store.url, BUILT_IN) > 0 or not vendor.requests
    assert "Traceback" not in platform.logs(), platform.logs()
    for recorded in vendor.requests:
        assert_sendable(recorded.asked.messages)


def installed_site(factory: pytest.TempPathFactory) -> Path:
    """The folder the example packages are installed in: once per test run, whatever its processes."""
    base = factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    site = shared / "site"
    with (shared / "site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (site / "complete").exists():
            for source in sorted(SOURCES.glob("acme_*")):
                install_plugin(source.name, site)
            (site / "complete").touch()
    return site


def _turnwright(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "turnwright", *arguments)
