"""Taking one delivery to its session: composed from what was kept, appended once, its end noted in the ledger.

May run any number of times: what is said has a key of its own, and a repeat finds it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import msgspec

from services.channels.contract import DeliveryError
from services.errors import Conflict, Defect, Invalid, NotFound, NotPending, Overloaded, StreamPaused
from services.faults import Faults
from services.inbound.commands import Commands
from services.inbound.contract import TAKEN_BACK, Commanded, Dropped, NotYet, Said, Source, Sources
from services.inbound.pauses import tell_pause
from services.inbound.router import NO_SOURCE
from services.inbound.unreached import Failed, Unreached
from services.jobs.claims import Claim
from services.jobs.outcome import Again, Result, Settled
from services.jobs.recovery import DEATHS
from services.jobs.traces import RunSpans
from services.outbox.again import again
from services.outbox.attempt import TIMEOUT, Attempt, Attempts
from services.outbox.backoff import delay_ms
from services.processors.advance import Held
from services.sessions.controls import Controls
from services.sessions.values import WrongState
from services.streams.event import Event, EventInput, JobId, StreamId
from services.streams.inbound_events import InboundQueued, InboundReceived, InboundSettled, InboundState
from services.streams.keys import stream_of
from services.streams.log import Log
from services.streams.near import NearPast, back_from, newest_first
from services.streams.vocabulary import StreamCreated
from services.telemetry import conventions as names
from services.telemetry.context import work_for
from services.telemetry.tracer import within

PAGE = 40
ATTEMPTS = 30
# So often is tried to tell of the end of one that failed, before it ends untold.
TELLS = 5
# What a session begins with stands behind its creation.
FIRST = 2


class Routes:
    """Runs deliveries of inbound streams. `controls` changes what was said before, `commands` are given in threads."""

    def __init__(
        self,
        log: Log,
        sources: Sources,
        controls: Controls,
        attempts: Attempts,
        *,
        commands: Commands,
        faults: Faults,
        spans: RunSpans | None = None,
    ) -> None:
        self._log, self._sources, self._controls = log, sources, controls
        self._commands, self._attempts = commands, attempts
        self._faults, self._spans, self._unreached = faults, spans or RunSpans(), Unreached(log)

    def effect(self, held: Held) -> str:
        """Nobody notices a repeat."""
        return ""

    def run(self, held: Held, claim: Claim) -> Result:
        """Take the delivery on. Raises: Unavailable when the store is gone."""
        self._faults.at("route.claimed")
        past = NearPast(self._log, claim.near)
        events = newest_first(past, held.stream, before=back_from(claim.began), page=PAGE)
        event, queued = _queued(events, held.id)
        kept = past.get(held.stream, queued.delivery)
        if kept is None:
            return _settled(queued, "failed", "delivery_gone")
        received, reason = kept.decode(InboundReceived), _final(claim)
        work_for(event.context, held.stream)
        source = self._sources.get(received.source)
        if source is None:
            return _settled(queued, "failed", reason) if reason else _settled(queued, "ignored", NO_SOURCE)
        if reason and _is_used_up(claim, TELLS):
            return _settled(queued, "failed", reason)
        failed = Failed(
            queued=queued, received=received, received_at=kept.created_at, reason=reason, error=claim.error
        )
        step = partial(self._failed, failed) if reason else self._taken
        with self._attempts.of(held, claim) as attempt:
            task = _Task(source, queued, received, attempt)
            result = self._attempted(held, claim, task, step)
        self._faults.at("route.appended")
        return result

    def _attempted(self, held: Held, claim: Claim, task: _Task, step: Callable[[_Task], Result]) -> Result:
        attempt, facts = task.attempt, {names.ROUTED_TO: task.queued.session}
        try:
            span = self._spans.begin(f"route {task.received.source}", held, claim, attributes=facts)
            with within(span, held.stream), attempt:
                return step(task)
        except (StreamPaused, NotYet, Overloaded, DeliveryError) as error:
            return _again(error, claim, stopped=attempt.cancel_reason)

    def _failed(self, failed: Failed, task: _Task) -> Result:
        """The end of one that never reached its session, and of whoever waits for that to be told."""
        queued = task.queued
        offset = self._unreached.offset(failed, task.source)
        if offset:
            # Whoever took it there did not come to say so.
            return _settled(queued, "routed", offset=offset)
        thread = ""
        if self._unreached.is_waited_for(failed, task.source):
            thread = task.thread()
        notice = self._unreached.tell(failed, thread) if thread else 0
        return _settled(queued, "failed", failed.reason, notice=notice)

    def _taken(self, task: _Task) -> Result:
        match task.queued.does:
            case "say":
                return self._say(task)
            case "command":
                return self._command(task)
            case _:
                return self._change(task)

    def _say(self, task: _Task) -> Result:
        """Into the session that is there, which most are; else into a new one, if the delivery may begin one."""
        queued = task.queued
        taken_back = f"{task.source.key_of(task.received)}{TAKEN_BACK}"
        if self._log.offset_of(stream_of(queued.job), taken_back) is not None:
            # Who sends again what was not acknowledged may be slower than who deletes it.
            return _settled(queued, "ignored", "taken_back")
        if self._log.head(StreamId(queued.session)):
            return self._said(task, create=None)
        if queued.is_there:
            # Before anybody outside is asked: most of what is said in a channel is not meant for us.
            return _settled(queued, "ignored", "not_our_thread")
        created = StreamCreated(agent=queued.agent, source=task.received.source)
        return self._said(task, create=EventInput.of("stream.created", created))

    def _said(self, task: _Task, *, create: EventInput | None) -> Result:
        queued, composed = task.queued, task.compose(is_first=create is not None)
        if not isinstance(composed, Said):
            return _not_said(queued, composed)
        event = EventInput.of("input.received", composed.input, key=composed.key)
        session = StreamId(queued.session)
        try:
            done = self._log.append(
                session,
                [event],
                create=create,
                if_exists=create is None,
                external=True,
                existing_wins=True,
            )
        except StreamPaused:
            tell_pause(self._log, session, composed.input)
            raise
        return _settled(queued, "routed", offset=done.offsets[0])

    def _command(self, task: _Task) -> Result:
        queued, composed = task.queued, task.compose(is_first=False)
        if not isinstance(composed, Commanded):
            return _not_said(queued, composed)
        done = self._commands.run(queued, composed)
        known = msgspec.structs.replace(queued, session=done.session)
        return _settled(known, done.state, done.reason, offset=done.offset)

    def _change(self, task: _Task) -> Result:
        queued, session = task.queued, StreamId(task.queued.session)
        offset = self._log.offset_of(session, task.source.key_of(task.received))
        if offset is None:
            # Who names us in an edit has not called us before.
            return _settled(queued, "ignored", "not_said_here") if queued.is_there else self._say(task)
        try:
            if queued.does == "withdraw":
                done = self._controls.withdraw(session, offset)
            else:
                composed = task.compose(is_first=offset == FIRST)
                if not isinstance(composed, Said):
                    return _not_said(queued, composed)
                done = self._controls.replace(session, offset, composed.input.text)
        except (Invalid, NotFound, NotPending, WrongState):
            return _settled(queued, "ignored", "can_not_be_changed")
        except Conflict:
            raise NotYet("busy") from None
        return _settled(queued, "routed", offset=done.offset)


class _Task(msgspec.Struct, frozen=True):
    """One delivery in hand."""

    source: Source
    queued: InboundQueued
    received: InboundReceived
    attempt: Attempt

    def compose(self, *, is_first: bool) -> Said | Commanded | Dropped:
        return self.source.compose(self.queued, self.received, self.attempt, is_first=is_first)

    def thread(self) -> str:
        """Where whoever sent it is told that it failed, also where nobody says in time whether to."""
        try:
            return self.source.thread_of(self.received, self.attempt)
        except DeliveryError:
            if self.attempt.cancel_reason != TIMEOUT:
                raise
            return self.source.thread_of(self.received, None)


def _final(claim: Claim) -> str:
    """Why nothing more is tried; empty while it is."""
    if claim.expired:
        return "expired"
    return "attempts_exhausted" if _is_used_up(claim) else ""


def _is_used_up(claim: Claim, more: int = 0) -> bool:
    """Whether all attempts were made, and `more` after them."""
    most = ATTEMPTS + more
    return claim.attempt - claim.waits > most + DEATHS or claim.charged > most


def _again(error: StreamPaused | NotYet | Overloaded | DeliveryError, claim: Claim, *, stopped: str) -> Again:
    if isinstance(error, NotYet):
        return Again(error=error.reason, delay_ms=delay_ms(claim.charged, error.delay_s))
    return again(error, claim, stopped=stopped)


def _queued(events: Iterator[Event], job: JobId) -> tuple[Event, InboundQueued]:
    for event in events:
        if event.type == "inbound.queued" and (found := event.decode(InboundQueued)).job == job:
            return event, found
    raise Defect(f"job {job} has nothing to deliver")


def _not_said(queued: InboundQueued, composed: Said | Commanded | Dropped) -> Settled:
    reason = composed.reason if isinstance(composed, Dropped) else "of_another_kind"
    return _settled(queued, "dropped", reason)


def _settled(
    queued: InboundQueued, state: InboundState, reason: str = "", *, offset: int = 0, notice: int = 0
) -> Settled:
    settled = InboundSettled(
        delivery=queued.delivery,
        state=state,
        reason=reason,
        session=queued.session,
        offset=offset,
        job=queued.job,
        notice=notice,
    )
    return Settled((EventInput.of("inbound.settled", settled),))
