"""The platform under attack: `turnwright up` on a fresh data directory, and the pids of its parts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

from services.diagnosis.roles import read_supervised
from tests.worker.waiting import wait_until

ROOT = Path(__file__).parents[2]
TOKEN = "tw_token-of-the-kill-test"
DEATHS_S = 60.0
START_S = 90.0
STOP_S = 15.0


class Machine:
    """One installation. Its supervisor may be killed and started again; everything else lives in `home`."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.home = folder / "home"
        self.output = folder / "output"
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("TURNWRIGHT_", "OPENAI_", "ACME_"))}
        own = {
            "TURNWRIGHT_HOME": str(self.home),
            "TURNWRIGHT_PORT": str(self.port),
            "TURNWRIGHT_API_TOKEN": TOKEN,
            "TURNWRIGHT_LOG_FORMAT": "json",
        }
        self._environment = {**kept, **own, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._restarts: dict[str, int] = {}
        self._deaths: dict[str, list[float]] = {}

    def start(self) -> None:
        """Run `up` and wait until it is ready."""
        self._restarts = {}
        began = self.output.stat().st_size if self.output.exists() else 0
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "turnwright", "up"],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=self._environment,
            )
        process = self._process
        wait_until(
            lambda: b"\nready http" in self._said(began) or process.poll() is not None, within_s=START_S
        )
        assert process.poll() is None, self._said(began).decode(errors="replace")

    def stop(self) -> None:
        """End it as a person does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=STOP_S)

    def pids(self) -> dict[str, int]:
        """The running parts by name: the roles, `supervisor`, and `web-child` below gunicorn's arbiter."""
        assert self._process is not None
        supervised = read_supervised(self.home)
        if supervised is None or supervised.supervisor.pid != self._process.pid:
            return {}
        roles = supervised.roles
        found = {name: s.pid for name, s in roles.items() if s.state == "running" and s.pid is not None}
        found["supervisor"] = self._process.pid
        if "web" in found:
            with suppress(psutil.Error, IndexError):
                found["web-child"] = psutil.Process(found["web"]).children()[0].pid
        return found

    def restart(self) -> None:
        """Stop and start as a person does; the new supervisor knows of no deaths."""
        self.stop()
        self.start()
        self._deaths = {}

    def kill_supervisor(self) -> None:
        """SIGKILL to `up` itself."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def deaths(self, role: str) -> int:
        """How often `role` died in the last minute, by whatever cause, also under an earlier supervisor."""
        self._count_deaths()
        now = time.monotonic()
        return sum(1 for at in self._deaths.get(role, ()) if now - at < DEATHS_S)

    def down(self) -> list[str]:
        """The roles that were given up."""
        supervised = read_supervised(self.home)
        return [name for name, s in (supervised.roles if supervised else {}).items() if s.state == "down"]

    def _count_deaths(self) -> None:
        supervised = read_supervised(self.home)
        for name, state in (supervised.roles if supervised else {}).items():
            fresh = max(0, state.restarts - self._restarts.get(name, 0))
            self._deaths.setdefault(name, []).extend([time.monotonic()] * fresh)
            self._restarts[name] = state.restarts

    def _said(self, start: int) -> bytes:
        with self.output.open("rb") as output:
            output.seek(start)
            return b"\n" + output.read()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port
