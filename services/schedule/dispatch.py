"""Taking one tick to its session: the prompt filled in, appended once, its end noted in the trigger's stream.

May run any number of times: what a tick says has a key of its own, and a repeat finds it there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Protocol

from services.channels.contract import DeliveryError, Sending
from services.cron.template import fill
from services.cron.times import BadTimes
from services.errors import Defect, Invalid, Overloaded, StreamPaused
from services.faults import Faults
from services.jobs.claims import Claim
from services.jobs.outcome import Again, Result, Settled
from services.jobs.recovery import DEATHS
from services.jobs.traces import RunSpans
from services.outbox.again import again
from services.outbox.attempt import Attempt, Attempts
from services.processors.advance import Held
from services.schedule.names import key_of, mark_of, trigger_of
from services.schedule.state import definition_in
from services.streams.event import Event, EventInput, JobId, Offset, StreamId
from services.streams.log import Log
from services.streams.near import NearPast, Past, back_from, newest_first
from services.streams.schedule_events import Definition, TickEnded, TickQueued
from services.streams.vocabulary import InputReceived, StreamCreated
from services.telemetry import conventions as names
from services.telemetry.tracer import within

PAGE = 40
ATTEMPTS = 30
NO_AGENT_S = 30.0
SOURCE = "trigger"


class Places(Protocol):
    """Where triggers are answered."""

    def address(self, answer_in: str, sending: Sending) -> str:
        """What an input says in `reply_to`. Raises: DeliveryError: gone or refused where there is no such place."""


class Burned(Exception):
    """A tick that can never be done; `reason` is a safe code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Dispatch:
    """Runs the jobs of triggers, for the `agents` that are configured."""

    def __init__(
        self,
        log: Log,
        agents: Collection[str],
        places: Places,
        attempts: Attempts,
        *,
        faults: Faults,
        spans: RunSpans | None = None,
    ) -> None:
        self._log, self._agents, self._places, self._attempts = log, agents, places, attempts
        self._faults, self._spans = faults, spans or RunSpans()

    def effect(self, held: Held) -> str:
        """Nobody notices a repeat."""
        return ""

    def run(self, held: Held, claim: Claim) -> Result:
        """Take the tick on. Raises: Unavailable when the store is gone."""
        self._faults.at("tick.claimed")
        past = NearPast(self._log, claim.near)
        events = newest_first(past, held.stream, before=back_from(claim.began), page=PAGE)
        due = _due(events, held.id)
        if claim.attempt > 1 and (said := self._said(held.stream, due)):
            # By one that died before it could tell: whatever else is wrong by now, it is done.
            return _ended("tick.dispatched", due, offset=said)
        if claim.expired:
            return _ended("tick.expired", due, claim.error or "late")
        if claim.attempt - claim.waits > ATTEMPTS + DEATHS or claim.charged > ATTEMPTS:
            return _ended("tick.burned", due, "attempts_exhausted")
        with self._attempts.of(held, claim) as attempt:
            return self._attempted(held, claim, due, attempt)

    def _attempted(self, held: Held, claim: Claim, due: TickQueued, attempt: Attempt) -> Result:
        facts = {names.ROUTED_TO: due.session}
        try:
            span = self._spans.begin(f"tick {trigger_of(held.stream)}", held, claim, attributes=facts)
            with within(span, held.stream), attempt:
                past = NearPast(self._log, claim.near)
                definition = _definition(past, self._log, held.stream, due.definition)
                offset = self._append(held.stream, due, definition, attempt)
        except Burned as error:
            return _ended("tick.burned", due, error.reason)
        except _NoAgent:
            return Again(error="no_such_agent", delay_ms=int(NO_AGENT_S * 1000), waits=True)
        except (StreamPaused, Overloaded, DeliveryError) as error:
            return again(error, claim, stopped=attempt.cancel_reason)
        self._faults.at("tick.appended")
        return _ended("tick.dispatched", due, offset=offset)

    def _said(self, stream: StreamId, due: TickQueued) -> Offset:
        return self._log.offset_of(StreamId(due.session), key_of(trigger_of(stream), due.tick)) or 0

    def _append(self, stream: StreamId, due: TickQueued, definition: Definition, sending: Sending) -> Offset:
        """Where the tick's input is in its session."""
        if definition.agent not in self._agents:
            # Whoever has a newer configuration knows it.
            raise _NoAgent
        trigger, session = trigger_of(stream), StreamId(due.session)
        said = InputReceived(
            text=_text(definition, trigger, due),
            debounce_ms=0,
            source=SOURCE,
            reply_to=self._address(definition, sending),
            tick=mark_of(trigger, due.tick),
        )
        if not due.session.endswith(due.tick):
            self._check_agent(session, definition.agent)
        done = self._log.append(
            session,
            [EventInput.of("input.received", said, key=key_of(trigger, due.tick))],
            create=EventInput.of("stream.created", StreamCreated(agent=definition.agent, source=SOURCE)),
            external=True,
            existing_wins=True,
        )
        return done.offsets[0]

    def _address(self, definition: Definition, sending: Sending) -> str | None:
        if not definition.answer_in:
            return None
        try:
            return self._places.address(definition.answer_in, sending)
        except DeliveryError as error:
            if error.kind in ("gone", "refused"):
                raise Burned(error.code or error.kind) from None
            raise

    def _check_agent(self, session: StreamId, agent: str) -> None:
        """Whose a session is that several ticks share, was settled by the first of them. Raises: Burned."""
        first = self._log.get(session, 1)
        if first is not None and first.decode(StreamCreated).agent != agent:
            raise Burned("session_has_another_agent")


class _NoAgent(Exception):
    pass


def _due(events: Iterator[Event], job: JobId) -> TickQueued:
    for event in events:
        if event.type == "tick.queued" and (found := event.decode(TickQueued)).job == job:
            return found
    raise Defect(f"job {job} has no tick")


def _definition(past: Past, log: Log, stream: StreamId, offset: Offset) -> Definition:
    """The one given at `offset`. Once that is let go of, the oldest event that is left tells it."""
    event = past.get(stream, offset)
    first = [event] if event is not None else log.read(stream, limit=1)
    for told in map(definition_in, first):
        if told is not None and told[0] == offset:
            return told[1]
    raise Burned("definition_gone")


def _text(definition: Definition, trigger: str, due: TickQueued) -> str:
    try:
        return fill(definition.prompt, trigger=trigger, tick=due.tick, due=due.due, tz=definition.tz)
    except (Invalid, BadTimes):
        raise Burned("prompt_can_not_be_filled_in") from None


def _ended(type: str, due: TickQueued, reason: str = "", *, offset: Offset = 0) -> Settled:
    ended = TickEnded(
        tick=due.tick,
        job=due.job,
        session=due.session,
        offset=offset,
        reason=reason,
        due=due.due if offset and not due.is_manual else 0,
    )
    return Settled((EventInput.of(type, ended),))
