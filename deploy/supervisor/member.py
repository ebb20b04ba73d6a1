"""A role under supervision: its current process, its history, and what is due for it next."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Protocol

from deploy.guard import Guard
from deploy.supervisor.child import Child
from deploy.supervisor.role import EXITS_UNTIL_DOWN, LONGEST_DELAY_S, Role, restart_delay_s
from services.diagnosis.roles import RoleState, RoleStatus


class Reports(Protocol):
    """Where a member tells what happens to it."""

    def relay(self, source: str, line: str) -> None:
        """A line of its process's output."""

    def say(self, text: str) -> None:
        """A line about it."""


class Member:
    """One role. All of it runs in the supervisor's main thread."""

    def __init__(
        self, role: Role, *, reports: Reports, guard: Guard | None, wake: Callable[[], None]
    ) -> None:
        self.role = role
        self.child: Child | None = None
        self.state = RoleState(state="stopped")
        self._reports = reports
        self._guard = guard
        self._wake = wake
        self._exits: list[float] = []
        self._restarts = 0
        self._cause = ""
        self._last_exit = ""
        self.restart_at: float | None = None

    def start(self) -> None:
        """Start the process; one that can not be started counts as one that died."""
        self.restart_at = None
        self._cause = ""
        try:
            self.child = Child(self.role, guard=self._guard, wake=self._wake)
        except (OSError, subprocess.SubprocessError) as error:
            self._plan_restart(f"could not be started: {error}")
            return
        self._enter("starting")
        self.note_readiness()

    def note_readiness(self) -> None:
        """Become `running` once the process is ready."""
        if self.child is not None and self.state.state == "starting" and self.child.is_ready:
            self._enter("running")

    def pump(self) -> None:
        """Relay what the process wrote."""
        for line in self.child.lines() if self.child is not None else ():
            self._cause = self.role.cause_in(line) or self._cause
            if not self.role.is_muted(line):
                self._reports.relay(self.role.name, line)

    def let_go(self) -> None:
        """The process ended: relay its last output, remember how it ended."""
        if self.child is not None:
            self.pump()
            self._last_exit = self.child.ending()
            self.child.close()
            self.child = None

    def died(self) -> None:
        """Plan the restart of a process that ended by itself."""
        self._plan_restart(self._last_exit)

    def stopped(self) -> None:
        """It ended because it was asked to, or will not be started again."""
        self.restart_at = None
        if self.state.state != "down":
            self._enter("stopped")

    def _plan_restart(self, ended: str) -> None:
        self._last_exit = ended
        now = time.monotonic()
        if self._cause:
            delay: float | None = LONGEST_DELAY_S
        else:
            self._exits = [*self._exits[-EXITS_UNTIL_DOWN:], now]
            delay = restart_delay_s(self._exits, now=now)
        name = self.role.name
        if delay is None:
            self._enter("down")
            self._reports.say(f"{name}: {ended}; left down after {EXITS_UNTIL_DOWN} deaths in a minute")
            if self.role.on_down is not None:
                self.role.on_down()
            return
        self._restarts += 1
        self.restart_at = now + delay
        self._enter("backoff")
        why = f"{ended} ({self._cause})" if self._cause else ended
        self._reports.say(f"{name}: {why}; it is started again in {delay:g} s")

    def _enter(self, status: RoleStatus) -> None:
        self.state = RoleState(
            state=status,
            pid=self.child.pid if self.child is not None else None,
            restarts=self._restarts,
            since_ms=time.time_ns() // 1_000_000,
            last_exit=self._last_exit,
            reason=self._cause,
        )
