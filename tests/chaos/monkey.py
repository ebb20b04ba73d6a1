"""The attack: kills, fault points and stops, one after the other, each while a turn is open.

An attack is not repeated on a role that died three times within a minute: the fifth death is the last.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.chaos.machine import Machine

What = Literal["kill", "fault", "stop", "ambush"]
WORKER = "worker"
DEATHS_LIMIT = 3
GAP_S = (0.8, 2.2)
# Two, as one may have ended and not been seen yet.
LEAST_OPEN = 2
HIT_WITHIN_S = 60.0
AMBUSH_S = 2.0
LOOK_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One blow: `target` is a role, the fault point that a process is to die at, or the moment it is stopped in."""

    what: What
    target: str


@dataclass(slots=True, kw_only=True)
class Blow:
    """One act as it happened. Times in epoch seconds; `until` is when a stopped process went on."""

    act: Act
    role: str
    pid: int
    at: float
    until: float = 0.0
    open: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        stopped = f" for {self.until - self.at:.1f} s" if self.until else ""
        return f"{self.at:.3f} {self.act.what} {self.act.target}: {self.role} ({self.pid}){stopped}, open: {self.open}"


class Monkey:
    """Works off `acts` in a thread of its own. `open` names what is acknowledged and not at its end.

    `stop_s` is how long a stopped process stands still. `lie` waits for a moment, so many seconds: the pid of who it
    stopped in it, 0 for nobody.
    """

    def __init__(
        self,
        machine: Machine,
        open: Callable[[], list[str]],
        acts: Sequence[Act],
        *,
        rng: random.Random,
        faults: Path,
        stop_s: float,
        lie: Callable[[str, float], int] = lambda moment, within_s: 0,
    ) -> None:
        self._machine, self._open, self._acts = machine, open, list(acts)
        self._rng, self._faults, self._stop_s, self._lie = rng, faults, stop_s, lie
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._run, name="monkey", daemon=True)
        self.blows: list[Blow] = []
        self.error: BaseException | None = None
        self._done = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def finish(self) -> None:
        """Wait for the blow that is going on; no further one follows."""
        self._halt.set()
        self._thread.join()

    def progress(self) -> float:
        """How much of the plan is done, 0 to 1; 1 also when it went wrong."""
        return 1.0 if self.error is not None else self._done / len(self._acts) if self._acts else 1.0

    def _run(self) -> None:
        try:
            for act in self._acts:
                self._halt.wait(self._rng.uniform(*GAP_S))
                while not self._halt.is_set() and not self._strike(act):
                    self._halt.wait(LOOK_S)
                if self._halt.is_set():
                    return
                self._done += 1
        except BaseException as error:
            self.error = error

    def _strike(self, act: Act) -> bool:
        """Whether it could be done now."""
        match act.what:
            case "kill":
                return self._kill(act)
            case "stop":
                return self._stop(act)
            case "fault":
                return self._arm(act)
            case "ambush":
                return self._ambush(act)

    def _kill(self, act: Act) -> bool:
        victim = self._victim(act.target)
        blow = victim and self._aim(act, *victim)
        if not blow:
            return False
        if act.target == "supervisor":
            self._machine.kill_supervisor()
            self.blows.append(blow)
            self._machine.start()
            return True
        return self._signal(blow, signal.SIGKILL)

    def _stop(self, act: Act) -> bool:
        victim = self._victim(act.target)
        blow = victim and self._aim(act, *victim)
        if not blow or not self._signal(blow, signal.SIGSTOP):
            return False
        self._go_on(blow)
        return True

    def _ambush(self, act: Act) -> bool:
        if any(self._machine.deaths(name) >= DEATHS_LIMIT for name in self._workers()):
            return False
        pid = self._lie(act.target, AMBUSH_S)
        if not pid:
            return False
        role = next((name for name, each in self._machine.pids().items() if each == pid), "?")
        blow = self._blow(act, role, pid, time.time())
        self.blows.append(blow)
        self._go_on(blow)
        return True

    def _go_on(self, blow: Blow) -> None:
        # Not cut short by a halt: nobody may stay stopped.
        threading.Event().wait(self._stop_s)
        blow.until = time.time()
        with suppress(ProcessLookupError):
            os.kill(blow.pid, signal.SIGCONT)

    def _arm(self, act: Act) -> bool:
        if any(self._machine.deaths(name) >= DEATHS_LIMIT for name in self._workers()):
            return False
        (self._faults / act.target).touch()
        ends = time.monotonic() + HIT_WITHIN_S
        while not (hit := self._hit(act.target)):
            assert time.monotonic() < ends, f"nobody reached {act.target} in {HIT_WITHIN_S:g} s"
            if self._halt.wait(LOOK_S):
                return False
        at, pid = hit
        self.blows.append(self._blow(act, act.target.partition(".")[0], pid, at))
        return True

    def _hit(self, point: str) -> tuple[float, int] | None:
        for found in self._faults.glob(f"{point}.hit.*"):
            taken = found.stat().st_ctime, int(found.suffix[1:])
            found.unlink()
            return taken
        return None

    def _workers(self) -> list[str]:
        return [name for name in self._machine.pids() if name.startswith(WORKER)]

    def _victim(self, target: str) -> tuple[str, int] | None:
        pids = self._machine.pids()
        names = [name for name in sorted(pids) if name == target or name.startswith(f"{target}-")]
        if target == "web":
            names = ["web"] if "web" in pids else []
        alive = [name for name in names if self._machine.deaths(name) < DEATHS_LIMIT]
        if not alive:
            return None
        name = self._rng.choice(alive)
        return name, pids[name]

    def _aim(self, act: Act, role: str, pid: int) -> Blow | None:
        blow = self._blow(act, role, pid, time.time())
        return blow if len(blow.open) >= LEAST_OPEN else None

    def _blow(self, act: Act, role: str, pid: int, at: float) -> Blow:
        return Blow(act=act, role=role, pid=pid, at=at, open=self._open())

    def _signal(self, blow: Blow, number: signal.Signals) -> bool:
        try:
            os.kill(blow.pid, number)
        except ProcessLookupError:
            return False
        self.blows.append(blow)
        return True


def kill(target: str) -> Act:
    """A SIGKILL for a role."""
    return Act(what="kill", target=target)


def fault(point: str) -> Act:
    """A death at a named point."""
    return Act(what="fault", target=point)


def stop(target: str = WORKER) -> Act:
    """A process that stands still and goes on."""
    return Act(what="stop", target=target)


def ambush(moment: str) -> Act:
    """A worker that stands still while its request is on the way, and goes on."""
    return Act(what="ambush", target=moment)
