"""The processor that sees to it that nobody in a thread waits in silence: every obligation comes to an end that shows.

An answer that takes long is said to take longer, once, and later to have failed, once. While the session is paused the
clock stands still, and once the answer is in the outbox it stops: how that ends shows without any clock. That a turn
makes progress does not stop it, as nobody in the thread sees that; it only changes what they are told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from services.channels.said import Holdup, gave_up_on, not_posted, paused_by, still_working
from services.outbox.entries import entry_id
from services.outbox.owing import Owing, Waiting, reduce
from services.processors.contract import Contract, Decision, Emit, Moment, Processor
from services.streams.event import Event, EventInput
from services.streams.payload import Payload
from services.streams.thread_events import (
    NoteRequested,
    ObligationNoted,
    ObligationOpened,
    ObligationSettled,
)
from services.streams.vocabulary import ReplySettled

# Of one kind in one step: a commit holds this step, the notes that follow from it, and whatever led to it.
BATCH = 6
# Without it nothing goes on.
AGENT = "agent"


class Obligations(Processor[Owing]):
    """Tells a thread after `overdue_ms` that its answer takes longer, and `gives_up_ms` after that that it failed.

    An answer that comes after all is said nevertheless.
    """

    contract = Contract(
        name="obligations",
        version=1,
        consumes=frozenset(
            {
                "input.received",
                "input.withdrawn",
                "turn.started",
                "turn.settled",
                "llm.requested",
                "llm.started",
                "llm.attempt_failed",
                "tool.requested",
                "reply.queued",
                "reply.delivered",
                "reply.uncertain",
                "reply.failed",
                "reply.note_requested",
                "obligation.opened",
                "obligation.noted",
                "obligation.settled",
                "stream.paused",
                "stream.resumed",
                "processor.faulted",
                "processor.resumed",
                "processor.skipped",
            }
        ),
        reacts=frozenset(
            {
                "input.received",
                "input.withdrawn",
                "turn.settled",
                "reply.delivered",
                "reply.uncertain",
                "reply.failed",
                "stream.paused",
            }
        ),
        emits=frozenset(
            {"obligation.opened", "obligation.noted", "obligation.settled", "reply.note_requested"}
        ),
    )
    state = Owing

    def __init__(self, *, overdue_ms: int, gives_up_ms: int) -> None:
        self._overdue_ms, self._gives_up_ms = overdue_ms, gives_up_ms

    @staticmethod
    def begins(event: Event) -> bool:
        """Whether a session has anything to do with threads from `event` on."""
        return event.type == "input.received" and b'"reply_to"' in bytes(event.payload)

    def reduce(self, state: Owing, event: Event) -> Owing:
        """See `owing.reduce`."""
        return reduce(state, event)

    def react(self, state: Owing, event: Event, moment: Moment) -> Sequence[Decision]:
        """Open and settle; tell the threads that wait of a pause that no person decided on, and of a failed reply."""
        if event.type == "stream.paused":
            return self._paused(state, moment)
        decided = self._record(state, moment)
        if event.type == "reply.failed":
            failed = event.decode(ReplySettled)
            decided += [_note(not_posted(failed.error), failed.thread)] if failed.thread else []
        return decided

    def wakes_at(self, state: Owing) -> int | None:
        """At once, while something is to be written down; else when the next answer is overdue."""
        if state.ended or state.new or state.untold:
            return 0
        every = (one for waiting in state.waiting.values() for one in waiting.values())
        return None if state.paused_at else min(map(self._due, every), default=None)

    def on_time(self, state: Owing, moment: Moment) -> Sequence[Decision]:
        """Record what is left to be recorded; tell those who wait for too long."""
        decided = self._record(state, moment) + self._paused(state, moment)
        if not state.paused_at:
            for thread in islice(self._late(state, moment.now_ms), BATCH):
                decided += self._tell(state, thread, moment.now_ms)
        return decided

    def _record(self, state: Owing, moment: Moment) -> list[Decision]:
        """The opening and the ends of obligations."""
        decided: list[Decision] = []
        for thread, inputs in islice(state.new.items(), BATCH):
            due_at = self._due(state.waiting[thread][inputs[0]])
            opened = ObligationOpened(inputs=inputs, reply_to=thread, due_at=due_at)
            decided.append(_emit("obligation.opened", opened))
        for one in state.ended[:BATCH]:
            job = entry_id(moment.stream, one.entry) if one.entry else ""
            settled = ObligationSettled(inputs=one.inputs, how=one.how, reason=one.reason, job=job)
            decided.append(_emit("obligation.settled", settled))
        return decided

    def _paused(self, state: Owing, moment: Moment) -> list[Decision]:
        """Notes on the pause for some of the threads that were not told of it yet."""
        text = paused_by(state.pause, moment.stream)
        told = set(state.untold[:BATCH])
        threads = (thread for thread, waiting in state.waiting.items() if told & waiting.keys())
        return [_note(text, thread) for thread in threads]

    def _due(self, one: Waiting) -> int:
        return one.noted_at + self._gives_up_ms if one.noted_at else one.since + self._overdue_ms

    def _late(self, state: Owing, now_ms: int) -> Iterator[str]:
        for thread, waiting in state.waiting.items():
            if thread not in state.new and any(self._due(one) <= now_ms for one in waiting.values()):
                yield thread

    def _tell(self, state: Owing, thread: str, now_ms: int) -> Sequence[Decision]:
        """One note for all in the thread that were not told yet, and one for those that are given up."""
        waiting = state.waiting[thread]
        lost = {n: one for n, one in waiting.items() if one.noted_at and self._due(one) <= now_ms}
        if lost:
            settled = ObligationSettled(inputs=tuple(lost), how="failed", reason="overdue")
            text = gave_up_on(_why(state, lost.values()))
            return (_emit("obligation.settled", settled), _note(text, thread))
        new = {n: one for n, one in waiting.items() if not one.noted_at}
        noted = ObligationNoted(inputs=tuple(new), reply_to=thread, due_at=now_ms + self._gives_up_ms)
        text = still_working(_why(state, new.values()))
        return (_emit("obligation.noted", noted), _note(text, thread, is_status=True))


def _why(state: Owing, waiting: Iterable[Waiting]) -> Holdup:
    """What holds up the first of those that wait."""
    if AGENT in state.faulted:
        return "faulted"
    if not any(one.is_asked for one in waiting):
        return "behind" if state.doing else "queued"
    return state.doing or "queued"


def _note(text: str, thread: str, *, is_status: bool = False) -> Emit:
    return _emit(
        "reply.note_requested",
        NoteRequested(text=text, reply_to=thread, by="obligations", is_status=is_status),
    )


def _emit(type: str, payload: Payload) -> Emit:
    return Emit(EventInput.of(type, payload))
