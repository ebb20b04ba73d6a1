"""The record of one run, made from the events of its part of the log. Pure, and without any text of the talk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from services.processors.late import LateResult
from services.sessions.values import EventView, Value
from services.streams.event import Event
from services.streams.vocabulary import (
    AttemptEnded,
    JobStarted,
    LLMRequested,
    LLMSettled,
    ToolRequested,
    ToolSettled,
    Usage,
)

RunState = Literal["queued", "running", "backing_off", "succeeded", "failed", "cancelled"]
ENDED = frozenset({"succeeded", "failed", "cancelled"})


class RunAttempt(Value, frozen=True, kw_only=True):
    """One attempt. `model` is the one asked, as configured; empty while it runs, or where it asked none.

    `outcome` is `lost` where its process ended without a word; how it ended is then not known. `first_ms` and
    `spent_ms` count from its start, `first_ms` to the first piece of the answer. `free`: it cost nothing of the
    attempts a request has. Times are epoch milliseconds.
    """

    n: int
    incarnation: str
    started_at: int
    ended_at: int | None = None
    outcome: Literal["running", "succeeded", "failed", "cancelled", "lost"] = "running"
    model: str = ""
    error: str = ""
    code: str = ""
    phase: str = ""
    first_ms: int | None = None
    spent_ms: int = 0
    free: bool = False
    halved: bool = False
    retry_at: int | None = None
    usage: Usage = Usage()


class RunTool(Value, frozen=True, kw_only=True):
    """A tool that the answer called. `outcome` is None while it has none, `ms` from the call to its outcome."""

    job: str
    name: str
    effect: str = ""
    attempts: int = 0
    outcome: str | None = None
    error: str = ""
    ms: int | None = None


class RunPhases(Value, frozen=True, kw_only=True):
    """Where the time of a run went, in milliseconds. `running` are all attempts together, a lost one up to the
    next. `first_token` is from the request to the first piece of the answer that counts, None if there is none."""

    queued: int
    running: int
    backing_off: int
    first_token: int | None


class RunLine(Value, frozen=True, kw_only=True):
    """A run in a list. `models` were asked, in the order of their first time; `usage` is without what came late.
    Times are epoch milliseconds."""

    run: str
    turn: int
    step: int
    agent: str
    state: RunState
    error: str
    models: tuple[str, ...]
    attempts: int
    requested_at: int
    ended_at: int | None
    usage: Usage


class RunPage(Value, frozen=True, kw_only=True):
    """The runs of a session, newest first. `cursor` asks for the next page, None when there is none."""

    runs: tuple[RunLine, ...]
    cursor: int | None


class RunDetail(Value, frozen=True, kw_only=True):
    """One run: an LLM request with all its attempts, and the tools its answer called.

    `config` is the hash of the configuration it was decided under. `usage` sums up every attempt and what came
    late. `answered_by` is the model as its vendor names it.
    """

    run: str
    session: str
    turn: int
    step: int
    agent: str
    config: str
    state: RunState
    error: str
    models: tuple[str, ...]
    answered_by: str
    requested_at: int
    ended_at: int | None
    attempts: tuple[RunAttempt, ...]
    phases: RunPhases
    usage: Usage
    trace_id: str | None
    tools: tuple[RunTool, ...]
    late: tuple[LateResult, ...]


class Record:
    """Gathers the events of one run, which begin with the one that requested it."""

    def __init__(self, events: Sequence[Event], now: int) -> None:
        self._requested, self._now = events[0], now
        self.asked = events[0].decode(LLMRequested)
        self._attempts: list[RunAttempt] = []
        self._tools: dict[str, RunTool] = {}
        self._called_at: dict[str, int] = {}
        self._settled: tuple[int, LLMSettled] | None = None
        for event in events[1:]:
            self._see(event)

    def detail(self, session: str, late: Sequence[LateResult]) -> RunDetail:
        """Everything that is known of it."""
        settled = self._settled
        return RunDetail(
            run=self.asked.job,
            session=session,
            turn=self.asked.turn,
            step=self.asked.step,
            agent=self.asked.agent,
            config=self.asked.config,
            state=self.state,
            error=settled[1].error if settled else "",
            models=self._models(),
            answered_by=settled[1].model if settled else "",
            requested_at=self._requested.created_at,
            ended_at=settled[0] if settled else None,
            attempts=tuple(self._attempts),
            phases=self._phases(),
            usage=_sum([self._usage(), *(each.usage for each in late)]),
            trace_id=EventView.of(self._requested).trace_id,
            tools=tuple(self._tools.values()),
            late=tuple(late),
        )

    def line(self) -> RunLine:
        """What a list tells of it."""
        return RunLine(
            run=self.asked.job,
            turn=self.asked.turn,
            step=self.asked.step,
            agent=self.asked.agent,
            state=self.state,
            error=self._settled[1].error if self._settled else "",
            models=self._models(),
            attempts=len(self._attempts),
            requested_at=self._requested.created_at,
            ended_at=self._settled[0] if self._settled else None,
            usage=self._usage(),
        )

    @property
    def state(self) -> RunState:
        """Where it stands."""
        if self._settled is not None:
            return self._settled[1].outcome
        if not self._attempts:
            return "queued"
        last = self._attempts[-1]
        if last.ended_at is None:
            return "running"
        return "backing_off" if (last.retry_at or 0) > self._now else "queued"

    def _see(self, event: Event) -> None:
        match event.type:
            case "llm.started":
                self._start(event)
            case "llm.attempt_failed":
                self._fail(event)
            case "llm.settled" if self._settled is None:
                self._settle(event)
            case "tool.requested":
                asked = event.decode(ToolRequested)
                self._tools[asked.job] = RunTool(job=asked.job, name=asked.name)
                self._called_at[asked.job] = event.created_at
            case "tool.started":
                started = event.decode(JobStarted)
                self._change(started.job, effect=started.effect, attempts=started.attempt)
            case "tool.settled":
                done = event.decode(ToolSettled)
                ms = event.created_at - self._called_at.get(done.job, event.created_at)
                self._change(done.job, outcome=done.outcome, error=done.error, ms=ms)

    def _start(self, event: Event) -> None:
        started = event.decode(JobStarted)
        if self._attempts and self._attempts[-1].ended_at is None:
            self._end(event.created_at, outcome="lost", error="worker_lost")
        self._attempts.append(
            RunAttempt(n=started.attempt, incarnation=started.incarnation, started_at=event.created_at)
        )

    def _fail(self, event: Event) -> None:
        failed = event.decode(AttemptEnded)
        self._end(
            event.created_at,
            outcome="failed",
            model=failed.model,
            error=failed.error,
            free=failed.free,
            retry_at=failed.retry_at,
            **_facts(failed),
        )

    def _settle(self, event: Event) -> None:
        settled = event.decode(LLMSettled)
        self._settled = (event.created_at, settled)
        self._end(
            event.created_at,
            outcome=settled.outcome,
            model=settled.asked,
            error=settled.error,
            **_facts(settled),
        )

    def _end(self, at: int, **facts: object) -> None:
        if self._attempts and self._attempts[-1].ended_at is None:
            self._attempts[-1] = msgspec.structs.replace(self._attempts[-1], ended_at=at, **facts)

    def _change(self, job: str, **facts: object) -> None:
        if job in self._tools:
            self._tools[job] = msgspec.structs.replace(self._tools[job], **facts)

    def _models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.model for each in self._attempts if each.model))

    def _usage(self) -> Usage:
        return _sum(each.usage for each in self._attempts)

    def _phases(self) -> RunPhases:
        queued = running = backing_off = 0
        free_at = self._requested.created_at
        wanted_at = free_at
        for each in self._attempts:
            backing_off += max(0, min(each.started_at, wanted_at) - free_at)
            queued += max(0, each.started_at - max(free_at, wanted_at))
            free_at = self._now if each.ended_at is None else each.ended_at
            running += free_at - each.started_at
            wanted_at = each.retry_at or free_at
        if self._settled is None:
            backing_off += max(0, min(self._now, wanted_at) - free_at)
            queued += max(0, self._now - max(free_at, wanted_at))
        return RunPhases(
            queued=queued, running=running, backing_off=backing_off, first_token=self._first_token()
        )

    def _first_token(self) -> int | None:
        last = self._attempts[-1] if self._attempts else None
        if last is None or last.first_ms is None or self._settled is None:
            return None
        return last.started_at - self._requested.created_at + last.first_ms


def _facts(ended: AttemptEnded | LLMSettled) -> dict[str, object]:
    return {
        "phase": ended.phase,
        "code": ended.code,
        "first_ms": ended.first_ms if ended.first_ms >= 0 else None,
        "spent_ms": ended.spent_ms,
        "halved": ended.halved,
        "usage": ended.usage,
    }


def _sum(usages: Iterable[Usage]) -> Usage:
    total = Usage()
    for each in usages:
        total = total.plus(each)
    return total
