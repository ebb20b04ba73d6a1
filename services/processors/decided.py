"""What processors decided in one plan, put into the commit that it becomes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.processors.bounds import check_decided
from services.processors.contract import AppendTo, CancelJob, Decision, Emit, SettleJob, StartJob
from services.processors.plan import Claimer, Owner, Plan
from services.processors.unit import Fault
from services.streams.event import Event, EventInput
from services.streams.keys import family_of
from services.streams.vocabulary import StreamPaused


class Decided:
    """Adds decisions to `out`; `claimer` says which of its jobs are claimed with it."""

    def __init__(self, out: Plan, claimer: Claimer) -> None:
        self._out, self._claimer = out, claimer
        self._named: set[str] = set()

    def add(self, name: str, decisions: Sequence[Decision], cause: Event | None) -> None:
        """What the processor `name` made of `cause`, None: of time having passed. Raises: Fault, TooMany."""
        out = self._out
        offset = cause.offset if cause else out.read_to
        for one in decisions:
            match one:
                case Emit(event=made):
                    self._emit(_traced(made, cause))
                case StartJob():
                    self._start(Owner(name, offset), one, cause)
                case SettleJob():
                    out.owners.setdefault(one.id, Owner(name, offset))
                    self._settle(one)
                case CancelJob():
                    out.cancels.append(one)
                case AppendTo():
                    out.appends.append(msgspec.structs.replace(one, event=_traced(one.event, cause)))
        check_decided(name, counts=(len(out.events), len(out.jobs), len(out.appends)), appends=out.appends)

    def _emit(self, made: EventInput) -> None:
        self._out.events.append(made)
        if made.type == "stream.paused":
            self._out.pause = msgspec.json.decode(made.payload, type=StreamPaused).reason

    def _start(self, owner: Owner, job: StartJob, cause: Event | None) -> None:
        if job.id in self._named:
            raise Fault(owner.name, owner.offset, "JobTwice")
        self._named.add(job.id)
        self._out.owners[job.id] = owner
        self._out.jobs.append(job)
        if started := self._claimer(job):
            self._out.claimed[job.id] = started
            self._out.events.append(
                _traced(EventInput.of(f"{family_of(job.kind, job.id)}.started", started), cause)
            )

    def _settle(self, settled: SettleJob) -> None:
        """End a job; one that this very commit would start never comes into being."""
        kept = [job for job in self._out.jobs if job.id != settled.id]
        if len(kept) == len(self._out.jobs):
            self._out.settles.append(settled)
            return
        self._out.jobs = kept
        self._out.claimed.pop(settled.id, None)


def _traced(made: EventInput, cause: Event | None) -> EventInput:
    """What follows from an event belongs to its trace and to its chain of causes."""
    if cause is None or (made.trace and made.cause):
        return made
    trace, baggage = (made.trace, made.baggage) if made.trace else (cause.trace, cause.baggage)
    return msgspec.structs.replace(made, trace=trace, baggage=baggage, cause=made.cause or cause.cause)
