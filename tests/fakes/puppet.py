"""A processor that does what it is told by the event it reads, and counts what it was told.

Its state is the evidence that no event was lost or doubled: how many, and the sum of their offsets.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.processors.contract import (
    AppendTo,
    CancelJob,
    Contract,
    Decision,
    Emit,
    Moment,
    Processor,
    SettleJob,
    StartJob,
)
from services.streams.event import Event, EventInput, JobId, StreamId
from services.streams.keys import JobKind
from services.streams.vocabulary import JobStarted, StreamCreated, StreamPaused

STARTS = ("llm.started", "tool.started", "reply.started")
OUTCOMES = ("llm.settled", "tool.settled", "reply.delivered", "reply.failed", "reply.uncertain")
SETTLE_MS = 5_000


class Ending(msgspec.Struct, frozen=True):
    """A job to end by commit, if it was claimed `token` times."""

    kind: JobKind
    name: str
    token: int


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to decide. Jobs are `<kind>:<name>`; `to` are streams; `wake` is epoch ms.

    The name of a delivery is `<destination>.<n>`.

    `end` settles jobs as far as the state knows them to be open, `settle` whatever the state says.
    """

    emit: int = 0
    size: int = 0
    jobs: tuple[str, ...] = ()
    settle: tuple[Ending, ...] = ()
    end: tuple[str, ...] = ()
    cancel: tuple[str, ...] = ()
    to: tuple[str, ...] = ()
    wake: int = 0
    pause: str = ""
    text: str = ""


class Did(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The `n`-th thing done about the event at `of`."""

    of: int
    n: int
    text: str = ""


class Owes(msgspec.Struct, frozen=True):
    """A job was asked for, or has its outcome."""

    job: str


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was reduced so far. `open` counts the attempts of jobs without an outcome."""

    told: int = 0
    told_sum: int = 0
    did: int = 0
    did_sum: int = 0
    outcomes: int = 0
    wake: int = 0
    open: dict[str, int] = {}


class Puppet(Processor[Seen]):
    """Consumes `puppet.told`, answers each with at least one `puppet.did`."""

    contract = Contract(
        name="puppet",
        version=1,
        consumes=frozenset({"puppet.told", "puppet.did", "puppet.owes", "puppet.woke", *STARTS, *OUTCOMES}),
        emits=frozenset({"puppet.did", "puppet.owes", "puppet.woke", "stream.paused", *OUTCOMES}),
    )
    state = Seen

    def reduce(self, state: Seen, event: Event) -> Seen:
        """Count."""
        match event.type:
            case "puppet.told":
                wake = event.decode(Told).wake or state.wake
                return msgspec.structs.replace(
                    state, told=state.told + 1, told_sum=state.told_sum + event.offset, wake=wake
                )
            case "puppet.did":
                of = event.decode(Did).of
                return msgspec.structs.replace(state, did=state.did + 1, did_sum=state.did_sum + of)
            case "puppet.woke":
                return msgspec.structs.replace(state, wake=0)
            case "puppet.owes":
                job = event.decode(Owes).job
                return msgspec.structs.replace(state, open={**state.open, job: 0})
            case "llm.started" | "tool.started" | "reply.started":
                job, attempt = _named(event), event.decode(JobStarted).attempt
                return msgspec.structs.replace(state, open={**state.open, job: attempt})
            case _:
                left = {job: n for job, n in state.open.items() if job != _named(event)}
                return msgspec.structs.replace(state, outcomes=state.outcomes + 1, open=left)

    def react(self, state: Seen, event: Event, moment: Moment) -> Sequence[Decision]:
        """Do what it says."""
        if event.type != "puppet.told":
            return ()
        told = event.decode(Told)
        return [
            *(_did(event, n, told.size) for n in range(1 + told.emit)),
            *(one for job in told.jobs for one in _start(moment, job)),
            *(one for job in told.end if job in state.open for one in _end(moment, job, state.open[job])),
            *(_settled(e.kind, JobId(f"{moment.stream}@{e.name}"), e.token) for e in told.settle),
            *(CancelJob(JobId(f"{moment.stream}@{name}")) for name in told.cancel),
            *(_pass_on(to, event) for to in told.to),
            *([_pause(told.pause)] if told.pause else []),
        ]

    def wakes_at(self, state: Seen) -> int | None:
        """When the last event wanted to."""
        return state.wake or None

    def on_time(self, state: Seen, moment: Moment) -> Sequence[Decision]:
        """Say so."""
        return (Emit(EventInput(type="puppet.woke", payload=msgspec.Raw(b"{}"))),)


def tell(told: Told | None = None, *, key: str | None = None) -> EventInput:
    """An event that tells the puppet what to do; nothing but one answer by default."""
    payload = msgspec.Raw(msgspec.json.encode(told or Told()))
    return EventInput(type="puppet.told", payload=payload, key=key)


CREATED = EventInput.of("stream.created", StreamCreated())


def _did(event: Event, n: int, size: int) -> Emit:
    did = Did(of=event.offset, n=n, text="x" * size)
    return Emit(EventInput(type="puppet.did", payload=msgspec.Raw(msgspec.json.encode(did))))


def outcome_of(job: JobId, kind: JobKind = "llm", *, reply: str = "delivered") -> EventInput:
    """The outcome of a job; of a delivery it is how the reply ended."""
    payload = msgspec.Raw(msgspec.json.encode(Owes(job)))
    return EventInput(type=f"reply.{reply}" if kind == "deliver" else f"{kind}.settled", payload=payload)


def destination_of(job: JobId) -> str:
    """Where a delivery goes."""
    return job.partition("@")[2].partition(".")[0]


def _named(event: Event) -> str:
    kind = event.type.partition(".")[0]
    return f"{'deliver' if kind == 'reply' else kind}:{event.decode(Owes).job.partition('@')[2]}"


def _parsed(moment: Moment, job: str) -> tuple[JobKind, JobId]:
    kind, _, name = job.partition(":")
    kinds: dict[str, JobKind] = {"llm": "llm", "deliver": "deliver"}
    return kinds.get(kind, "tool"), JobId(f"{moment.stream}@{name}")


def _start(moment: Moment, job: str) -> Sequence[Decision]:
    kind, id = _parsed(moment, job)
    owes = EventInput(type="puppet.owes", payload=msgspec.Raw(msgspec.json.encode(Owes(job))))
    if kind != "deliver":
        return Emit(owes), StartJob(kind=kind, id=id)
    destination = destination_of(id)
    return Emit(owes), StartJob(kind=kind, id=id, destination=destination, settle_ms=SETTLE_MS)


def _end(moment: Moment, job: str, token: int) -> Sequence[Decision]:
    kind, id = _parsed(moment, job)
    return _settled(kind, id, token), Emit(outcome_of(id, kind))


def _settled(kind: JobKind, id: JobId, token: int) -> SettleJob:
    destination = destination_of(id) if kind == "deliver" else ""
    return SettleJob(kind=kind, id=id, token=token, destination=destination)


def _pass_on(to: str, event: Event) -> AppendTo:
    return AppendTo(StreamId(to), tell(Told(text=f"from {event.offset}")), create=CREATED)


def _pause(reason: str) -> Emit:
    return Emit(EventInput.of("stream.paused", StreamPaused(reason=reason)))
