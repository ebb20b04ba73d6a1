"""The processor of inbound streams: decides what becomes of each delivery, from what was kept of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.inbound.contract import Ignored, Order, Sources
from services.outbox.entries import digest_of
from services.processors.contract import Contract, Decision, Emit, Moment, Processor, StartJob
from services.streams.event import Event, EventInput, JobId
from services.streams.inbound_events import InboundQueued, InboundReceived, InboundSettled

# So long a delivery may wait for a session that is paused, or for somebody who does not answer.
EXPIRES_MS = 3 * 86_400_000
NO_SOURCE = "source_is_off"


class RouterState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How many deliveries came, and how many of them are settled."""

    received: int = 0
    settled: int = 0


class Router(Processor[RouterState]):
    """Decides by the `sources`, each by its name."""

    contract = Contract(
        name="router",
        version=1,
        consumes=frozenset({"inbound.received", "inbound.settled"}),
        reacts=frozenset({"inbound.received"}),
        emits=frozenset({"inbound.queued", "inbound.settled"}),
    )
    state = RouterState

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def reduce(self, state: RouterState, event: Event) -> RouterState:
        """Count."""
        if event.type == "inbound.received":
            return msgspec.structs.replace(state, received=state.received + 1)
        return msgspec.structs.replace(state, settled=state.settled + 1)

    def react(self, state: RouterState, event: Event, moment: Moment) -> Sequence[Decision]:
        """Owe the session what is meant for it; settle what is meant for none."""
        received = event.decode(InboundReceived)
        source = self._sources.get(received.source)
        verdict = Ignored(NO_SOURCE) if source is None else source.decide(received)
        if isinstance(verdict, Ignored):
            settled = InboundSettled(delivery=event.offset, state="ignored", reason=verdict.reason)
            return (Emit(EventInput.of("inbound.settled", settled)),)
        return _owed(verdict, event.offset, moment)


def _owed(order: Order, offset: int, moment: Moment) -> Sequence[Decision]:
    job = JobId(f"{moment.stream}@n{offset}")
    # What belongs to one session is taken there in order, each session's for itself.
    destination = digest_of("session", order.session)
    queued = InboundQueued(
        job=job,
        delivery=offset,
        session=order.session,
        destination=destination,
        does=order.does,
        agent=order.agent,
        policy=order.policy,
        debounce_ms=order.debounce_ms,
        is_there=order.is_there,
    )
    start = StartJob(kind="deliver", id=job, destination=destination, expires_ms=EXPIRES_MS)
    return (Emit(EventInput.of("inbound.queued", queued)), start)
