"""One session without a store that is talked to in threads: what it owes there, says there, and how that ends."""

from __future__ import annotations

import msgspec

from services.outbox.obligations import Obligations
from services.outbox.owing import Owing
from services.outbox.replies import Replies
from services.processors.agent.rules import Rules
from services.streams.event import EventInput
from services.streams.thread_events import NoteRequested, ObligationOpened, ObligationSettled
from services.streams.vocabulary import JobStarted, ReplySettled
from tests.fakes.pure_session import PureSession

A, B = "slack:T1:C1:1.2", "slack:T1:C1:3.4"
MINUTE = 60_000
OVERDUE, GIVES_UP = 10 * MINUTE, 60 * MINUTE


class Thread(PureSession):
    """A session that is talked to in threads; its jobs are run, and its replies delivered, as a test says."""

    def __init__(self) -> None:
        obligations = Obligations(overdue_ms=OVERDUE, gives_up_ms=GIVES_UP)
        super().__init__(Rules(), [Replies(), obligations])

    def ask(self, thread: str | None = A) -> int:
        """Somebody asks in a thread; the offset."""
        offset = self.say("follow_up", reply_to=thread)
        self.advance()
        return offset

    def run(self, *, outcome: str = "succeeded") -> None:
        """The request that is open comes to its end."""
        job = next(id for id, job in self.jobs.items() if job.kind == "llm" and not job.is_settled)
        self.start(job)
        self.finish(job, outcome=outcome)
        self.advance()

    def start(self, job: str) -> None:
        """See `PureSession.start`; of a reply too."""
        row = self.jobs[job]
        if row.kind != "deliver":
            super().start(job)
        elif not row.is_running and not row.is_settled:
            row.claims, row.is_running = row.claims + 1, True
            started = JobStarted(job=job, attempt=row.claims, incarnation="w")
            self.append(EventInput.of("reply.started", started))

    def end_reply(self, job: str, end: str, error: str = "") -> None:
        """A reply has its outcome."""
        row = self.jobs[job]
        if not row.is_settled:
            row.is_settled, row.is_running = True, False
            self.append(EventInput.of(f"reply.{end}", ReplySettled(job=job, error=error)))

    def deliver(self, end: str = "delivered", error: str = "") -> None:
        """Whatever is in the outbox comes to that end."""
        for id, job in self.jobs.items():
            if job.kind == "deliver":
                self.end_reply(id, end, error)
        self.advance()

    def wait(self, ms: int) -> None:
        """Time passes, and the session is looked at."""
        self.now_ms += ms
        self.advance()

    @property
    def owing(self) -> Owing:
        """The state of the obligations at the checkpoint."""
        raw = self.fields.get("s:obligations")
        return Owing() if raw is None else msgspec.json.decode(raw, type=Owing)

    def opened(self) -> list[tuple[int, ...]]:
        return [e.decode(ObligationOpened).inputs for e in self.events if e.type == "obligation.opened"]

    def settled(self) -> list[tuple[tuple[int, ...], str, str]]:
        ends = [e.decode(ObligationSettled) for e in self.events if e.type == "obligation.settled"]
        return [(one.inputs, one.how, one.reason) for one in ends]

    def notes(self) -> list[tuple[str, str]]:
        """Thread and text."""
        asked = [e.decode(NoteRequested) for e in self.events if e.type == "reply.note_requested"]
        return [(one.reply_to, one.text) for one in asked]
