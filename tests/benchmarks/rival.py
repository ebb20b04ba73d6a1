"""The bare baseline, running: a Valkey that syncs every second, gunicorn with 8 threads, Celery with 50."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import redis

from deploy.embedded import make_socket_folder, server_binary
from deploy.guard import die_with_parent
from tests.benchmarks.attendants import stop
from tests.benchmarks.figures import NotMeasured
from tests.benchmarks.load import ROOT
from tests.benchmarks.platform import cpu_s_of, free_port, plain_environment

WEB_THREADS = 8
WORKER_THREADS = 50
_TIME_TO_START_S = 30.0
_LOOK_EVERY_S = 0.05


class Rival:
    """The running baseline; `token` is what it does not ask for."""

    token = "none"

    def __init__(self, port: int, store: Path, processes: Mapping[str, subprocess.Popen[bytes]]) -> None:
        self.port = port
        self._store = redis.Redis(unix_socket_path=str(store))
        self._processes = {name: psutil.Process(each.pid) for name, each in processes.items()}

    def wait_until_nothing_is_owed(self, *, within_s: float = 60.0) -> None:
        """Wait until every task is done. Raises: NotMeasured when that takes too long."""
        deadline = time.monotonic() + within_s
        while self._store.llen("celery") or self._store.hlen("unacked"):
            if time.monotonic() > deadline:
                raise NotMeasured(f"the baseline is not done after {within_s:g} s")
            time.sleep(_LOOK_EVERY_S)

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds used so far, by role."""
        return {
            name: cpu_s_of(each) + sum(map(cpu_s_of, each.children(recursive=True)))
            for name, each in self._processes.items()
        }

    def is_up(self) -> bool:
        """Whether web listens and the worker reads its queue."""
        with suppress(OSError, redis.RedisError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            clients = self._store.client_list()
            return any(each["cmd"] == "brpop" for each in clients)
        return False


@contextmanager
def run_rival(scratch: Path, given: Mapping[str, str]) -> Iterator[Rival]:
    """Run the baseline on a fresh directory of `scratch`; `given` is added to its environment.

    Raises: NotMeasured when it does not start.
    """
    folder, port = Path(tempfile.mkdtemp(dir=scratch)), free_port()
    store = make_socket_folder() / "store.sock"
    environment = plain_environment() | {"BASELINE_STORE": f"unix://{store}", **given}
    with ExitStack() as stack:
        commands = {"store": _store(store, folder), "web": _web(port), "worker": _worker()}
        processes = {}
        for name, command in commands.items():
            processes[name] = process = _start(command, environment, folder / name)
            stack.callback(stop, process)
        rival = Rival(port, store, processes)
        deadline = time.monotonic() + _TIME_TO_START_S
        while not rival.is_up():
            _refuse_the_dead(processes, folder)
            if time.monotonic() > deadline:
                raise NotMeasured("the baseline did not start")
            time.sleep(_LOOK_EVERY_S)
        yield rival


def _store(socket: Path, folder: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "dir": str(folder),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "loglevel": "warning",
    }
    return [str(server_binary()), *(word for name in options for word in (f"--{name}", options[name]))]


def _web(port: int) -> list[str]:
    app = "tests.benchmarks.baseline.web:create_app()"
    threads = ["--worker-class", "gthread", "--workers", "1", "--threads", str(WEB_THREADS)]
    listen = ["--bind", f"127.0.0.1:{port}", "--log-level", "warning", "--no-control-socket"]
    return [sys.executable, "-m", "gunicorn", *threads, *listen, app]


def _worker() -> list[str]:
    pool = ["--pool", "threads", "--concurrency", str(WORKER_THREADS), "--loglevel", "WARNING"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    app = "tests.benchmarks.baseline.work"
    return [sys.executable, "-m", "celery", "--app", app, "--quiet", "worker", *pool, *quiet]


def _start(command: list[str], environment: Mapping[str, str], output: Path) -> subprocess.Popen[bytes]:
    parent = os.getpid()
    with output.with_suffix(".txt").open("wb") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=dict(environment),
            preexec_fn=lambda: die_with_parent(parent),
        )


def _refuse_the_dead(processes: Mapping[str, subprocess.Popen[bytes]], folder: Path) -> None:
    for name, process in processes.items():
        if process.poll() is not None:
            said = (folder / name).with_suffix(".txt").read_text(errors="replace").strip()
            raise NotMeasured(f"the {name} of the baseline ended at its start: {said[-300:]}")
