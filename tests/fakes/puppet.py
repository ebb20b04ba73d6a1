"""A processor that does what it is told by the event it reads, and counts what it was told.

Its state is the evidence that no event was lost or doubled: how many, and the sum of their offsets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

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
from services.streams.vocabulary import StreamCreated, StreamPaused

Kind = Literal["llm", "tool"]
OUTCOMES = ("llm.settled", "tool.settled")


class Ending(msgspec.Struct, frozen=True):
    """A job to end by commit, if it was claimed `token` times."""

    kind: Kind
    name: str
    token: int


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to decide. Jobs are `<kind>:<name>`; `to` are streams; `wake` is epoch ms."""

    emit: int = 0
    size: int = 0
    jobs: tuple[str, ...] = ()
    settle: tuple[Ending, ...] = ()
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


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What was reduced so far."""

    told: int = 0
    told_sum: int = 0
    did: int = 0
    did_sum: int = 0
    outcomes: int = 0
    wake: int = 0


class Puppet(Processor[Seen]):
    """Consumes `puppet.told`, answers each with at least one `puppet.did`."""

    contract = Contract(
        name="puppet",
        version=1,
        consumes=frozenset({"puppet.told", "puppet.did", "puppet.woke", *OUTCOMES}),
        emits=frozenset({"puppet.did", "puppet.woke", "stream.paused"}),
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
            case _:
                return msgspec.structs.replace(state, outcomes=state.outcomes + 1)

    def react(self, state: Seen, event: Event, moment: Moment) -> Sequence[Decision]:
        """Do what it says."""
        if event.type != "puppet.told":
            return ()
        told = event.decode(Told)
        return [
            *(_did(event, n, told.size) for n in range(1 + told.emit)),
            *(_start(moment, job) for job in told.jobs),
            *(
                SettleJob(kind=e.kind, id=JobId(f"{moment.stream}@{e.name}"), token=e.token)
                for e in told.settle
            ),
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


def _start(moment: Moment, job: str) -> StartJob:
    kind, _, name = job.partition(":")
    return StartJob(kind="llm" if kind == "llm" else "tool", id=JobId(f"{moment.stream}@{name}"))


def _pass_on(to: str, event: Event) -> AppendTo:
    return AppendTo(StreamId(to), tell(Told(text=f"from {event.offset}")), create=CREATED)


def _pause(reason: str) -> Emit:
    return Emit(EventInput.of("stream.paused", StreamPaused(reason=reason)))
