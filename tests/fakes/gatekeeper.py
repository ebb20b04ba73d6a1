"""A source that lets nothing into a session until a test says so, and the worker that tries."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import msgspec

from services.channels.contract import Sending
from services.diagnosis.wait import WaitReason
from services.faults import Faults
from services.inbound.commands import Commands
from services.inbound.contract import Answer, Arrived, Dropped, NotYet, Order, Request, Said
from services.inbound.routes import Routes
from services.jobs.outcome import Again, Settled
from services.jobs.running import Running
from services.outbox.attempt import Attempts, Terms
from services.processors.agent.state import AgentState
from services.sessions.controls import Controls
from services.streams.event import EventInput, JobId, Offset, StreamId
from services.streams.inbound_events import InboundQueued, InboundReceived, InboundSettled
from services.streams.log import Loaded
from services.streams.thread_events import NoteRequested
from services.streams.vocabulary import InputReceived, StreamCreated
from tests.fakes.store_stage import Hand, Stage

INBOUND = StreamId("inbound:gate:a")


class GateSource:
    """Takes `<key> <session> <thread>` as a body. `lets_in` raises what keeps it out; `told` is who may be told."""

    name, off, most_bytes = "gate", "", 1_000

    def __init__(self) -> None:
        self.lets_in: Callable[[], None] = self.keeps_out
        self.may_be_told: Callable[[], bool] = lambda: True
        self.order = Order(session=StreamId(""))
        self.asked = 0

    def keeps_out(self) -> None:
        raise NotYet("permission_unknown", delay_s=1)

    def verify(self, request: Request) -> None:
        return None

    def read(self, request: Request) -> Arrived | Answer:
        return Answer(body=b"")

    def decide(self, received: InboundReceived) -> Order:
        return msgspec.structs.replace(self.order, session=StreamId(received.body.split()[1]))

    def compose(
        self, queued: InboundQueued, received: InboundReceived, sending: Sending, *, is_first: bool
    ) -> Said | Dropped:
        self.asked += 1
        self.lets_in()
        said = InputReceived(text="hello", reply_to=received.body.split()[2], source=self.name)
        return Said(input=said, key=self.key_of(received))

    def key_of(self, received: InboundReceived) -> str:
        return received.body.split()[0]

    def thread_of(self, received: InboundReceived, sending: Sending | None) -> str:
        return received.body.split()[2] if self.may_be_told() else ""


def nothing_waits(stream: StreamId, loaded: Loaded, agent: AgentState) -> WaitReason | None:
    """What tells of no wait."""
    return None


class Gatekeeper:
    """A worker that takes what arrives at `source` to its session, attempt by attempt."""

    def __init__(self, stage: Stage, source: GateSource) -> None:
        self.stage, self.source = stage, source
        self._numbers = itertools.count(1)
        self.hand: Hand = stage.hand()
        self.running = Running(stage.store, self.hand.claims, stage.keys.cancel_channel, notices=False)
        self.faults = Faults(None)
        self.routes = self._routes()

    def _routes(self) -> Routes:
        log = self.stage.log
        return Routes(
            log,
            {"gate": self.source},
            Controls(log, nothing_waits, {}),
            Attempts(self.running, Terms(least_s=0.0), may_start=lambda: True, clock=lambda: 0.0),
            commands=Commands(log, nothing_waits),
            faults=self.faults,
        )

    def arrives(self, key: str, session: str = "gate:s", thread: str = "slack:T1:C1:1.2") -> Offset:
        """A webhook; its offset."""
        received = InboundReceived(source="gate", kind="said", body=f"{key} {session} {thread}")
        event = EventInput.of("inbound.received", received, key=key)
        created = EventInput.of("stream.created", StreamCreated(source="gate"))
        [offset] = self.stage.log.append(INBOUND, [event], create=created).offsets
        self.hand.advancer.advance(INBOUND)
        return offset

    def attempt(self, offset: Offset, *, dies: bool = False) -> str:
        """One attempt, and the time until the next; how it ended. One that `dies` does so before it says so."""
        job = JobId(f"{INBOUND}@n{offset}")
        held, claim = self.hand.take_job("deliver", job)
        result = self.routes.run(held, claim)
        if dies:
            self.stage.relay.reap(self.stage.keys.shard(INBOUND), self.hand.name, proven=True)
            self.later(1)
            return "died"
        match result:
            case Settled(events=events):
                assert self.hand.advancer.settle(held, events, None) is not None
                return self.fate(offset).state
            case Again(error=error, delay_ms=delay_ms, free=free, waits=waits):
                self.hand.claims.release(
                    held, error=error, delay_ms=delay_ms, free=free or waits, waits=waits
                )
                self.later(delay_ms + 1)
                return error
        raise AssertionError(result)

    def give_up(self, offset: Offset) -> str:
        """Attempts until it ended."""
        for _ in range(60):
            ended = self.attempt(offset)
            if ended in ("routed", "ignored", "dropped", "failed"):
                return ended
        raise AssertionError("it never ended")

    def expire(self) -> None:
        """More than three days go by."""
        self.later(3 * 86_400_000 + 1)

    def later(self, ms: int) -> None:
        """Time passes, and another worker is there."""
        self.stage.pass_time(ms)
        self.hand = self.stage.hand(f"hand{next(self._numbers)}")

    def fate(self, offset: Offset) -> InboundSettled:
        """What the ledger has of one."""
        ended = [e.decode(InboundSettled) for e in self.stage.events(INBOUND) if e.type == "inbound.settled"]
        return next(one for one in ended if one.delivery == offset)

    def notes(self, session: str = "gate:s") -> list[tuple[Offset, NoteRequested]]:
        """What is told in the threads of a session."""
        events = self.stage.events(StreamId(session))
        return [(e.offset, e.decode(NoteRequested)) for e in events if e.type == "reply.note_requested"]
