"""The real platform for a measurement: `turnwright up` on a fresh directory, with a stub model beside it.

The stub is the provider tests' fake vendor as a process of its own, which answers after 20 ms. What the
platform's processes cost is read from the system.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import msgspec
import psutil

from services.diagnosis.roles import read_roles
from services.settings import embedded_addresses
from services.streams.keys import Keys
from tests.benchmarks.attendants import attendant, stop
from tests.benchmarks.figures import NotMeasured
from tests.benchmarks.load import ROOT
from tests.fakes.store_servers import console
from tests.plugins.install import install_plugin

STUB_DELAY_MS = 20
_READY = re.compile(r"^ready http://\S+$", re.MULTILINE)
_OWED = re.compile(r"^turnwright_due\{.*\} ([0-9.e+]+)$", re.MULTILINE)
_TIME_TO_START_S = 90.0
_LOOK_EVERY_S = 0.2
_QUIET_LOOKS = 3


class PlatformEvent(msgspec.Struct, frozen=True):
    """One event as the API shows it. `created_at` is the store's clock in epoch ms."""

    offset: int
    type: str
    created_at: int


class _Page(msgspec.Struct, frozen=True):
    events: list[PlatformEvent]


class _Wait(msgspec.Struct, frozen=True):
    text: str


class _Why(msgspec.Struct, frozen=True):
    wait: _Wait | None


class Platform:
    """A running platform. `environment` is what its processes were given."""

    def __init__(self, process: psutil.Process, *, port: int, environment: Mapping[str, str]) -> None:
        self.port = port
        self.environment = environment
        self.home = Path(environment["TURNWRIGHT_HOME"])
        self.token = (self.home / "token").read_text().strip()
        self._process = process
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def events(self, session: str) -> list[PlatformEvent]:
        """The first 500 events of a session."""
        return msgspec.json.decode(self.get(f"/api/sessions/{session}/events?limit=500"), type=_Page).events

    def wait_until_nothing_is_owed(self, *, within_s: float = 60.0) -> None:
        """Wait until every turn is settled. Raises: NotMeasured when that takes too long."""
        deadline, quiet = time.monotonic() + within_s, 0
        # The sets are not counted at one instant: what moves between two of them may be missed once.
        while quiet < _QUIET_LOOKS:
            owed = sum(float(size) for size in _OWED.findall(self.get("/metrics").decode()))
            quiet = 0 if owed else quiet + 1
            if time.monotonic() > deadline:
                raise NotMeasured(f"{owed:g} pieces of work are still owed after {within_s:g} s")
            time.sleep(_LOOK_EVERY_S)

    def why(self, session: str) -> str:
        """Why a session is not idle; empty for an idle one."""
        wait = msgspec.json.decode(self.get(f"/api/sessions/{session}/why"), type=_Why).wait
        return wait.text if wait else ""

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds used so far, by role; workers together."""
        used = {"supervisor": cpu_s_of(self._process)}
        for role, state in read_roles(self.home).items():
            name = role.partition("-")[0]
            if state.pid is not None:
                found = psutil.Process(state.pid)
                spent = cpu_s_of(found) + sum(cpu_s_of(child) for child in found.children(recursive=True))
                used[name] = used.get(name, 0.0) + spent
        return used

    def close(self) -> None:
        """Let go of the connection; the platform goes on."""
        self._http.close()

    def get(self, path: str) -> bytes:
        """The body of an answer with status 200. Raises: NotMeasured."""
        for is_last in (False, True):
            try:
                self._http.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
                answer = self._http.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException) as error:
                self._http.close()
                if is_last:
                    raise NotMeasured(f"GET {path}: {type(error).__name__}") from error
                continue
            if answer.status != http.client.OK:
                raise NotMeasured(f"GET {path}: {answer.status}")
            break
        return body


@contextmanager
def run_platform(scratch: Path, *, config: str = "") -> Iterator[Platform]:
    """Run a platform on a fresh directory of `scratch`, with `config` as its `turnwright.toml`, and the stub.

    Raises: NotMeasured when it does not start.
    """
    command = ["tests.fakes.llm_server", "--delay-ms", str(STUB_DELAY_MS)]
    with attendant(*command) as stub:
        given = {
            "TURNWRIGHT_MODEL": "acme:stub",
            "ACME_BASE_URL": stub.url,
            "PYTHONPATH": str(installed("acme_provider", scratch)),
        }
        with run_configured(scratch, given, config=config) as platform:
            yield platform


@contextmanager
def run_configured(scratch: Path, given: Mapping[str, str], *, config: str = "") -> Iterator[Platform]:
    """Run a platform on a fresh directory of `scratch`; `given` is added to its environment.

    Raises: NotMeasured when it does not start.
    """
    folder = Path(tempfile.mkdtemp(dir=scratch))
    (folder / "turnwright.toml").write_text(config)
    port = free_port()
    environment = plain_environment() | {
        "TURNWRIGHT_HOME": str(folder / "home"),
        "TURNWRIGHT_PORT": str(port),
        "TURNWRIGHT_CONFIG": str(folder / "turnwright.toml"),
        **given,
    }
    command = [sys.executable, "-m", "turnwright", "up"]
    with started(command, folder=ROOT, environment=environment, output=folder / "output") as process:
        with closing(Platform(psutil.Process(process.pid), port=port, environment=environment)) as platform:
            yield platform


@contextmanager
def started(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], output: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command that starts a platform; comes back when that is ready. Raises: NotMeasured."""
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, cwd=folder, env=dict(environment)
        )
    deadline = time.monotonic() + _TIME_TO_START_S
    try:
        while not _READY.search(said := output.read_text(errors="replace")):
            if process.poll() is not None or time.monotonic() > deadline:
                raise NotMeasured(f"the platform did not start: {said.strip()[-500:]}")
            time.sleep(0.02)
        yield process
    finally:
        stop(process)


def move_clock(platform: Platform, offset_ms: int) -> None:
    """Have the store's time be so far from the real one. Forward, all leases end: as after a sleep of the machine."""
    keys = Keys()
    with console(embedded_addresses(platform.home)[0]) as bare:
        for shard in range(keys.shards):
            bare.execute_command("SET", keys.clock(shard), offset_ms)


def free_port() -> int:
    """A port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def plain_environment() -> dict[str, str]:
    """This process's environment without anything that configures a platform."""
    prefixes = ("TURNWRIGHT_", "OPENAI_", "ANTHROPIC_")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


def installed(plugin: str, scratch: Path) -> Path:
    """The folder of `scratch` into which a plugin of the tests was installed, now or before."""
    folder = scratch / plugin
    if not folder.exists():
        install_plugin(plugin, folder)
    return folder


def cpu_s_of(process: psutil.Process) -> float:
    """The CPU seconds a process has used; 0 when it is gone."""
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def by_role(spent_ms: Mapping[str, float]) -> str:
    """What each role took, the most first."""
    ordered = sorted(spent_ms.items(), key=lambda item: -item[1])
    return ", ".join(f"{role} {ms:.1f}" for role, ms in ordered if ms >= 0.05)
