"""The supervisor's loop: one thread waits for output, deaths, signals and timers, and acts on them.

Children are started from the main thread only: the kernel's death signal follows the thread.
"""

from __future__ import annotations

import selectors
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from deploy.guard import Guard, has_death_signal
from deploy.supervisor.member import Member, Reports
from deploy.supervisor.role import Role
from deploy.supervisor.signals import Signals
from services.diagnosis.roles import RoleState
from services.errors import Defect, TurnwrightError

_IDLE_S = 1.0
_KILL_WAIT_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTimes:
    """From the first signal: when later stages are killed, and when everything is."""

    grace_s: float = 8.0
    total_s: float = 9.3


class Supervisor:
    """Runs `stages` of roles. A stage starts when all of the one before are ready, and stops before it.

    `on_state` gets the state of all roles whenever one changed; `on_ready` is called once, when the last
    stage is ready; `before_stage(index)` before a stage starts, and what it raises ends the run.
    """

    def __init__(
        self,
        stages: Sequence[Sequence[Role]],
        *,
        reports: Reports,
        on_state: Callable[[Mapping[str, RoleState]], None],
        on_ready: Callable[[], None] = lambda: None,
        before_stage: Callable[[int], None] = lambda index: None,
        stop_times: StopTimes | None = None,
        with_guard: bool = not has_death_signal(),
    ) -> None:
        self._reports = reports
        self._on_state = on_state
        self._on_ready = on_ready
        self._stop_times = stop_times or StopTimes()
        self._signals = Signals()
        self._guard = Guard() if with_guard else None
        self._before_stage = before_stage
        self._stages = [[self._member(role) for role in stage] for stage in stages]
        self._started = 0
        self._announced: dict[str, RoleState] = {}
        self._selector = selectors.DefaultSelector()

    def run(self) -> int:
        """Until a signal asks to stop: 0. 1 when a role was given up before the last stage was ready."""
        if threading.current_thread() is not threading.main_thread():
            raise Defect("the supervisor must run in the main thread")
        failed = False
        with self._signals:
            self._selector.register(self._signals.wakeup_fd, selectors.EVENT_READ)
            try:
                while not (self._signals.stops or failed):
                    self._advance_stages()
                    self._turn()
                    failed = self._has_failed()
                self._stop()
            except TurnwrightError:
                self._stop()
                raise
            finally:
                self._kill(self._members())
                self._close()
        return 1 if failed else 0

    def _member(self, role: Role) -> Member:
        return Member(role, reports=self._reports, guard=self._guard, wake=self._signals.wake)

    def _members(self) -> Iterable[Member]:
        return (member for stage in self._stages for member in stage)

    def _advance_stages(self) -> None:
        while self._is_stage_ready(self._started - 1):
            if self._started == len(self._stages):
                self._started += 1
                self._on_ready()
                return
            self._before_stage(self._started)
            for member in self._stages[self._started]:
                self._start(member)
            self._started += 1

    def _is_stage_ready(self, index: int) -> bool:
        if index >= len(self._stages):
            return False
        return index < 0 or all(
            member.state.state == "running" or member.role.is_ready is None for member in self._stages[index]
        )

    def _has_failed(self) -> bool:
        return self._started <= len(self._stages) and any(
            member.state.state == "down" and member.role.is_ready is not None for member in self._members()
        )

    def _turn(self, *, until: float | None = None, is_stopping: bool = False) -> None:
        """Wait for the next thing to happen, at most until a time, and act on it."""
        for key, _ in self._selector.select(self._wait_s(until)):
            if isinstance(key.data, Member):
                self._pump(key.data)
            else:
                self._signals.clear()
        for member in self._members():
            member.note_readiness()
            self._reap(member, is_stopping=is_stopping)
            if member.restart_at is not None and member.restart_at <= time.monotonic():
                self._start(member)
        self._announce()

    def _wait_s(self, until: float | None) -> float:
        dues = [member.restart_at for member in self._members() if member.restart_at is not None]
        if until is not None:
            dues.append(until)
        return max(0.0, min([_IDLE_S, *(due - time.monotonic() for due in dues)]))

    def _start(self, member: Member) -> None:
        member.start()
        if member.child is not None:
            self._selector.register(member.child.output_fd, selectors.EVENT_READ, member)

    def _pump(self, member: Member) -> None:
        child = member.child
        member.pump()
        if child is not None and child.is_output_over:
            self._selector.unregister(child.output_fd)

    def _reap(self, member: Member, *, is_stopping: bool) -> None:
        child = member.child
        if child is None or not child.has_ended():
            return
        if child.output_fd in self._selector.get_map():
            self._selector.unregister(child.output_fd)
        member.let_go()
        if is_stopping:
            member.stopped()
        else:
            member.died()

    def _announce(self) -> None:
        states = {member.role.name: member.state for member in self._members()}
        if states != self._announced:
            self._announced = states
            self._on_state(states)

    def _stop(self) -> None:
        began = time.monotonic()
        self._reports.say("stopping")
        for member in self._members():
            if member.child is None:
                member.stopped()
        for index, stage in reversed(list(enumerate(self._stages))):
            times = self._stop_times
            self._stop_stage(stage, until=began + (times.grace_s if index else times.total_s))

    def _stop_stage(self, stage: Sequence[Member], *, until: float) -> None:
        stops_before = max(self._signals.stops, 1)
        for member in reversed(stage):
            if member.child is not None:
                member.child.terminate()
        while _is_alive(stage) and time.monotonic() < until and self._signals.stops <= stops_before:
            self._turn(until=until, is_stopping=True)
        killed = self._kill(stage)
        if killed:
            self._reports.say(f"{', '.join(killed)}: killed, did not stop in time")
        until = time.monotonic() + _KILL_WAIT_S
        while _is_alive(stage) and time.monotonic() < until:
            self._turn(until=until, is_stopping=True)

    def _kill(self, members: Iterable[Member]) -> list[str]:
        alive = [member for member in members if member.child is not None]
        for member in alive:
            if member.child is not None:
                member.child.kill()
        return [member.role.name for member in alive]

    def _close(self) -> None:
        self._selector.close()
        if self._guard is not None:
            self._guard.close()


def _is_alive(members: Iterable[Member]) -> bool:
    return any(member.child is not None for member in members)
