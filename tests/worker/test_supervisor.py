"""The supervisor against real processes: restarts, giving up, ends, and the lock of the data directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
import pytest

from deploy.guard import has_death_signal
from services.diagnosis.roles import RoleState, read_roles
from tests.worker.waiting import is_gone, wait_until

IDLE = [sys.executable, "-c", "import signal; signal.pause()"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, pathlib, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "pathlib.Path(sys.argv[1]).touch(); signal.pause()",
]
# Says when it was asked to stop.
TELLING = [
    sys.executable,
    "-c",
    "import signal, sys\n"
    "signal.signal(signal.SIGTERM, lambda *_: (print('stopping', flush=True), sys.exit(0)))\n"
    "print('up', flush=True); signal.pause()",
]

GUARDS = [
    pytest.param(False, marks=pytest.mark.skipif(not has_death_signal(), reason="no death signal here")),
    pytest.param(True),
]


class Supervised:
    """A running supervisor of the test and what it wrote."""

    def __init__(self, home: Path, process: subprocess.Popen[bytes], output: Path) -> None:
        self.home = home
        self.process = process
        self._output = output

    def output(self) -> str:
        return self._output.read_text()

    def role(self, name: str) -> RoleState:
        return read_roles(self.home).get(name, RoleState(state="stopped"))

    def pid(self, name: str) -> int:
        wait_until(lambda: self.role(name).state == "running")
        pid = self.role(name).pid
        assert pid is not None
        return pid

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(signum)
        return self.process.wait(timeout=15)


@contextmanager
def supervised(home: Path, stages: list[dict[str, list[str]]], **options: object) -> Iterator[Supervised]:
    plan = msgspec.json.encode({"stages": stages, **options}).decode()
    output = home.parent / f"output-{time.monotonic_ns()}"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.worker.supervise", str(home), plan],
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Supervised(home, process, output)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=20)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def test_a_role_killed_with_9_is_started_again_and_its_death_is_told(home: Path) -> None:
    with supervised(home, [{"one": IDLE}]) as run:
        first = run.pid("one")

        os.kill(first, signal.SIGKILL)

        wait_until(lambda: run.role("one").pid not in (None, first))
        assert run.pid("one") != first
        assert run.role("one").restarts == 1
        assert run.role("one").last_exit == "killed by SIGKILL"


def test_a_role_that_dies_five_times_in_a_minute_is_left_down_and_the_others_go_on(home: Path) -> None:
    failing = [sys.executable, "-c", "raise SystemExit(3)"]
    with supervised(home, [{"failing": failing, "other": IDLE}]) as run:
        wait_until(lambda: run.role("failing").state == "down")

        state = run.role("failing")
        assert (state.restarts, state.last_exit, state.pid) == (4, "exit status 3", None)
        assert run.role("other").state == "running"
        assert "left down" in run.output()
        assert run.stop() == 0
        assert run.role("failing").state == "down"


def test_a_role_that_dies_of_a_full_disk_is_never_given_up(home: Path) -> None:
    failing = [sys.executable, "-c", "print('Short write: No space left on device'); raise SystemExit(1)"]
    with supervised(home, [{"store": failing}]) as run:
        wait_until(lambda: run.role("store").state == "backoff")

        assert run.role("store").reason == "disk full"
        assert "store: exit status 1 (disk full); it is started again in 10 s" in run.output()


@pytest.mark.parametrize("guard", GUARDS)
def test_no_child_outlives_a_supervisor_killed_with_9(home: Path, guard: bool) -> None:
    forking = [
        sys.executable,
        "-c",
        "import os, signal, sys\nfrom deploy.guard import die_with_parent\nparent = os.getpid()\n"
        "if os.fork() == 0: die_with_parent(parent)\nsignal.pause()",
    ]
    with supervised(home, [{"one": IDLE, "two": forking, "stubborn": STUBBORN}], guard=guard) as run:
        roles = [run.pid(name) for name in ("one", "two", "stubborn")]
        wait_until(lambda: len(psutil.Process(roles[1]).children()) == 1)
        grandchild = psutil.Process(roles[1]).children()[0].pid
        helpers = [child.pid for child in psutil.Process(run.process.pid).children()]

        run.process.kill()
        run.process.wait()

        wait_until(lambda: all(is_gone(pid) for pid in {*roles, *helpers, grandchild}), within_s=3)


def test_children_of_a_supervisor_whose_guard_was_killed_still_end_with_it(home: Path) -> None:
    with supervised(home, [{"one": IDLE, "two": IDLE}], guard=True) as run:
        roles = [run.pid("one"), run.pid("two")]
        (guard,) = [each for each in psutil.Process(run.process.pid).children() if each.pid not in roles]
        guard.kill()
        os.kill(roles[0], signal.SIGKILL)
        wait_until(lambda: run.role("one").pid not in (None, roles[0]))

        restarted = run.pid("one")
        run.process.kill()
        run.process.wait()

        wait_until(lambda: is_gone(restarted) and is_gone(roles[1]), within_s=3)


def test_a_second_supervisor_on_the_same_directory_is_refused_at_once(home: Path) -> None:
    with supervised(home, [{"one": IDLE}]) as first:
        first.pid("one")

        # Who runs is known at once, however long one would wait for a store to end.
        with supervised(home, [{"one": IDLE}], wait_s=120) as second:
            assert second.process.wait(timeout=30) == 2

        assert f"already runs on it (pid {first.process.pid})" in second.output()
        assert first.role("one").state == "running"


def test_the_lock_outlives_a_killed_supervisor_as_long_as_a_store_process_lives(home: Path) -> None:
    # A store that escapes the death signal, as one does that takes long to end.
    escaping = [
        sys.executable,
        "-c",
        "import ctypes, signal, sys, pathlib; ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)\n"
        "pathlib.Path(sys.argv[1]).touch(); signal.pause()",
        f"{home}/store.ready",
        "{lock}",
    ]
    with supervised(home, [{"store": escaping}]) as first:
        store = first.pid("store")
        first.process.kill()
        first.process.wait()
        try:
            with supervised(home, [{"one": IDLE}]) as second:
                assert second.process.wait(timeout=10) == 2
            assert "a store process of an earlier run still writes in it" in second.output()

            with supervised(home, [{"one": IDLE}]) as third:
                wait_until(lambda: psutil.Process(third.process.pid).num_threads() > 1)
                os.kill(store, signal.SIGKILL)
                assert third.pid("one")
        finally:
            if not is_gone(store):
                os.kill(store, signal.SIGKILL)


def test_stages_start_when_the_one_before_is_ready_and_stop_in_reverse_order(home: Path) -> None:
    store = [*TELLING, f"{home}/store.ready"]
    with supervised(home, [{"store": store}, {"worker": TELLING, "web": TELLING}]) as run:
        wait_until(lambda: "| up" in run.output())
        assert run.role("store").state == "starting"
        assert run.role("web").state == "stopped"
        (home / "store.ready").touch()
        wait_until(lambda: "all ready" in run.output() and run.output().count("| up") == 3)

        assert run.stop() == 0

        stops = [line.split()[0] for line in run.output().splitlines() if line.endswith("| stopping")]
        assert stops.index("store") == 2
        assert {run.role(name).state for name in ("store", "worker", "web")} == {"stopped"}


def test_a_stop_is_bounded_for_a_role_that_ignores_it(home: Path) -> None:
    stages = [{"store": TELLING}, {"stubborn": [*STUBBORN, f"{home}/stubborn.ready"]}]
    with supervised(home, stages, grace_s=0.5, total_s=1.0) as run:
        stubborn = run.pid("stubborn")

        began = time.monotonic()
        assert run.stop() == 0

        # Of its 1.5 s; by default it would have 8.
        assert time.monotonic() - began < 7
        assert is_gone(stubborn)
        assert "stubborn: killed, did not stop in time" in run.output()
        assert "store     | stopping" in run.output()


def test_a_second_signal_ends_the_patience(home: Path) -> None:
    with supervised(
        home, [{"stubborn": [*STUBBORN, f"{home}/stubborn.ready"]}], grace_s=60, total_s=60
    ) as run:
        run.pid("stubborn")
        run.process.send_signal(signal.SIGINT)
        wait_until(lambda: "stopping" in run.output())
        waited = time.monotonic()

        # Within a second it counts as the same one.
        wait_until(lambda: time.monotonic() > waited + 1.2)
        run.process.send_signal(signal.SIGINT)

        assert run.process.wait(timeout=5) == 0


def test_a_role_given_up_before_everything_was_ready_ends_the_start(home: Path) -> None:
    failing = [sys.executable, "-c", "raise SystemExit(1)", f"{home}/store.ready"]
    with supervised(home, [{"store": failing}, {"web": IDLE}]) as run:
        assert run.process.wait(timeout=20) == 1

        assert run.role("store").state == "down"
        assert run.role("web").state == "stopped"


def test_a_reader_that_went_away_does_not_end_the_supervisor(home: Path) -> None:
    chatty = [sys.executable, "-c", "import itertools\nfor i in itertools.count(): print('x' * 200)"]
    plan = msgspec.json.encode({"stages": [{"chatty": chatty, "one": IDLE}]}).decode()
    command = [sys.executable, "-m", "tests.worker.supervise", str(home), plan]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    wait_until(lambda: "one" in read_roles(home))
    first = read_roles(home)["one"].pid
    assert first is not None

    os.kill(first, signal.SIGKILL)

    wait_until(lambda: read_roles(home)["one"].pid not in (None, first))
    process.terminate()
    assert process.wait(timeout=15) == 0
