"""A session whose replies a worker delivers step by step, over a postman in the place of every channel."""

from __future__ import annotations

from services.faults import Faults
from services.jobs.outcome import Again, Lost, Result, Settled
from services.jobs.running import Running
from services.outbox.attempt import Terms
from services.outbox.deliveries import Deliveries
from services.streams.event import EventInput, JobId, StreamId
from services.streams.vocabulary import InputReceived, ReplySettled, StreamCreated, TurnSettled
from tests.fakes.postman import Postman
from tests.fakes.store_stage import Hand, Stage

S = StreamId("app:replies")
ONE = "https://one.example/hook"
ENDS = ("reply.delivered", "reply.failed", "reply.uncertain")
_FIRST = JobId(f"{S}@r1")


class Desk:
    """A session with a worker that delivers its replies, step by step."""

    def __init__(self, stage: Stage, *, attempts: int = 15) -> None:
        self.stage, self.postman = stage, Postman()
        self.hand: Hand = stage.hand()
        self.running = Running(stage.store, self.hand.claims, stage.keys.cancel_channel, notices=False)
        self.may_start = True
        self.boot_s = 0.0
        self.runner = Deliveries(
            stage.log,
            self.running,
            dict.fromkeys(("http", "slack", "github"), self.postman),
            terms=Terms(attempts=attempts),
            may_start=lambda: self.may_start,
            faults=Faults(None),
            clock=lambda: self.boot_s,
        )
        stage.log.append(S, [EventInput.of("stream.created", StreamCreated())])
        self.turns = 0

    def hear(self, callback: str | None, *, reply_to: str | None = None) -> int:
        """An input; its offset."""
        said = InputReceived(text="hi", callback=callback, reply_to=reply_to)
        return self.stage.log.append(S, [EventInput.of("input.received", said)]).offsets[0]

    def answer(self, *inputs: int) -> None:
        """A turn ends, and what follows is committed."""
        self.turns += 1
        settled = TurnSettled(turn=self.turns, outcome="answered", inputs=inputs, text=f"answer {self.turns}")
        self.tell(EventInput.of("turn.settled", settled))

    def ask(self, callback: str | None = ONE) -> None:
        """An input and its turn."""
        self.answer(self.hear(callback))

    def tell(self, event: EventInput) -> None:
        """Append and advance."""
        self.stage.log.append(S, [event])
        self.hand.advancer.advance(S)

    def attempt(self, job: JobId = _FIRST) -> Result:
        """One attempt at a delivery that is due, and what follows from it."""
        held, claim = self.hand.take_job("deliver", job)
        result = self.runner.run(held, claim)
        match result:
            case Settled(events=events):
                assert self.hand.advancer.settle(held, events, None) is not None
            case Again(error=error, delay_ms=delay_ms, free=free, waits=waits):
                self.hand.claims.release(
                    held, error=error, delay_ms=delay_ms, free=free or waits, waits=waits
                )
                self.stage.pass_time(delay_ms + 1)
                self.hand.renew()
            case Lost():
                pass
        self.hand.advancer.advance(S)
        return result

    def ends(self) -> list[tuple[str, str, str]]:
        """Entry, outcome and error of every settled reply."""
        found = [(e.type, e.decode(ReplySettled)) for e in self.stage.events(S) if e.type in ENDS]
        return [(one.job.rpartition("@")[2], type.partition(".")[2], one.error) for type, one in found]

    def due(self) -> set[str]:
        """The entries that are due now."""
        return {id.rpartition("@")[2] for id, left in self.stage.due_ids("deliver").items() if left <= 0}
