"""`turnwright up` as a person meets it: from the first line to the last, and through a kill."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import redis

from services.diagnosis.roles import read_roles
from services.settings import embedded_addresses
from tests.worker.waiting import is_gone, wait_until

ROOT = Path(__file__).parents[2]
READY = re.compile(r"^ready http://127\.0\.0\.1:(\d+)$", re.MULTILINE)
TIME_TO_STOP_S = 10


class Platform:
    """One `turnwright up` and what it said."""

    def __init__(self, home: Path, process: subprocess.Popen[bytes], output: Path) -> None:
        self.home = home
        self.process = process
        self._output = output

    def output(self) -> str:
        return self._output.read_text(errors="replace")

    def port(self) -> int:
        wait_until(
            lambda: READY.search(self.output()) is not None or self.process.poll() is not None, within_s=60
        )
        ready = READY.search(self.output())
        assert ready is not None, self.output()
        return int(ready[1])

    def get(self, path: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port(), timeout=20)
        connection.request("GET", path)
        return connection.getresponse().status

    def refused(self) -> str:
        assert self.process.wait(timeout=30) == 2, self.output()
        return self.output()


@contextmanager
def platform(home: Path, **environment: str) -> Iterator[Platform]:
    output = home.parent / f"up-{len(list(home.parent.glob('up-*')))}"
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TURNWRIGHT_", "OPENAI_", "ANTHROPIC_"))
    }
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "turnwright", "up"],
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={
                **kept,
                "TURNWRIGHT_HOME": str(home),
                "TURNWRIGHT_WORKERS": "1",
                "TURNWRIGHT_SLOTS": "20",
                **environment,
            },
        )
    try:
        yield Platform(home, process, output)
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_it_becomes_ready_says_how_to_ask_and_stops_in_time_leaving_nothing(home: Path) -> None:
    with platform(home, OPENAI_API_KEY="sk-test") as run:
        port = run.port()
        assert "failover" not in run.output()

        last = run.output().split(f"ready http://127.0.0.1:{port}\n")[1].splitlines()
        said = [line for line in last if "|" not in line]
        assert said[0].startswith("model offline")
        assert said[1] == "OPENAI_API_KEY found; set TURNWRIGHT_MODEL=openai:<model>"
        assert said[2].startswith("slack off: not set: TURNWRIGHT_SLACK_SIGNING_SECRET, ")
        assert said[3].startswith("github off: not set: TURNWRIGHT_GITHUB_WEBHOOK_SECRET, ")
        assert said[4] == f'TURNWRIGHT_HOME={home} .venv/bin/turnwright ask "Hello"'
        assert json.loads((home / "run" / "server.json").read_text()) == {"url": f"http://127.0.0.1:{port}"}
        assert run.get("/readyz") == 200
        assert home.stat().st_mode & 0o777 == 0o700
        children = psutil.Process(run.process.pid).children(recursive=True)
        sockets = Path(embedded_addresses(home)[0].removeprefix("unix://")).parent

        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(timeout=TIME_TO_STOP_S) == 0
        assert run.output().splitlines()[-1] == "stopping"

    assert all(is_gone(child.pid) for child in children)
    assert {state.state for state in read_roles(home).values()} == {"stopped"}
    assert {path.name for path in (home / "run").iterdir()} <= {"lock", "roles.json"}
    assert not sockets.exists()


def test_it_names_the_models_that_answer_also_when_the_file_chose_them(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "agents.toml"
    file.write_text('[agents.default]\nmodel = ["offline"]\n')
    chosen = {"TURNWRIGHT_CONFIG": str(file), "TURNWRIGHT_MODEL": "openai:unused"}

    with platform(home, OPENAI_API_KEY="sk-test", **chosen) as run:
        run.port()

        wait_until(lambda: "\nmodel offline\nOPENAI_API_KEY found" in run.output())


def test_a_second_one_on_the_same_data_is_refused_with_the_reason(home: Path) -> None:
    with platform(home) as first:
        first.port()

        with platform(home) as second:
            assert f"Turnwright already runs on it (pid {first.process.pid})" in second.refused()

        assert first.get("/readyz") == 200


def test_after_a_kill_nothing_is_left_running_and_the_next_one_goes_on_from_the_same_data(home: Path) -> None:
    with platform(home) as first:
        first.port()
        children = psutil.Process(first.process.pid).children(recursive=True)
        with redis.Redis.from_url(embedded_addresses(home)[0]) as log:
            log.set("proof", "kept")
        first.process.kill()
        first.process.wait()

        with platform(home) as second:
            second.port()

            assert all(is_gone(child.pid) for child in children)
            with redis.Redis.from_url(embedded_addresses(home)[0]) as log:
                assert log.get("proof") == b"kept"


def test_a_request_that_comes_while_web_is_started_anew_is_answered(home: Path) -> None:
    with platform(home) as run:
        port = run.port()
        web = read_roles(home)["web"].pid
        assert web is not None

        os.kill(web, signal.SIGKILL)
        wait_until(lambda: read_roles(home)["web"].pid != web)

        assert run.get("/healthz") == 200
        assert run.port() == port
        wait_until(lambda: "\nweb runs again\n" in run.output())


def test_every_role_killed_with_9_comes_back(home: Path) -> None:
    with platform(home) as run:
        run.port()
        before = {name: state.pid for name, state in read_roles(home).items()}
        assert set(before) == {"log", "broker", "web", "worker-1", "beat"}

        for pid in before.values():
            assert pid is not None
            os.kill(pid, signal.SIGKILL)

        wait_until(
            lambda: all(
                state.state == "running" and state.pid != before[name]
                for name, state in read_roles(home).items()
            ),
            within_s=30,
        )
        wait_until(lambda: run.get("/readyz") == 200)


def test_a_port_that_was_set_and_is_in_use_is_refused_before_anything_starts(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with platform(home, TURNWRIGHT_PORT=str(port)) as run:
            assert f"TURNWRIGHT_PORT: 127.0.0.1 port {port} is in use" in run.refused()


def test_the_model_of_a_vendor_is_said_when_ready(home: Path) -> None:
    with platform(home, TURNWRIGHT_MODEL="openai:gpt-x", OPENAI_API_KEY="sk-test") as run:
        run.port()
        assert "\nmodel openai:gpt-x\n" in run.output()
        assert "OPENAI_API_KEY" not in run.output()


def test_a_vendor_without_its_key_is_refused_before_anything_starts(home: Path) -> None:
    with platform(home, TURNWRIGHT_MODEL="openai:gpt-x,anthropic:claude-x") as run:
        said = run.refused()
    assert "model 'openai:gpt-x': set OPENAI_API_KEY (or OPENAI_API_KEY_FILE)" in said
    assert "model 'anthropic:claude-x': set ANTHROPIC_API_KEY (or ANTHROPIC_API_KEY_FILE)" in said
    assert not home.exists()


def test_mistakes_in_the_configuration_file_are_said_before_anything_starts(home: Path) -> None:
    file = home.parent / "turnwright.toml"
    file.write_text("nonsense = 1\n")

    with platform(home, TURNWRIGHT_CONFIG=str(file)) as run:
        assert "turnwright.toml:1" in run.refused()
    assert not home.exists()
