"""Triggers as people handle them: defined, removed, fired, listed. Writes the streams of triggers and their list."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice

from services.cron.moments import END_MS
from services.cron.times import BadTimes, Times, zone_of
from services.errors import Conflict, Invalid, NotFound, Overloaded
from services.schedule.checks import KnownPlaces, check_definition, check_id
from services.schedule.index import Index
from services.schedule.known import Known, known, known_of
from services.schedule.names import manual_name, session_of, stream_of, trigger_of
from services.schedule.state import MOST_SPANS, TriggerState, is_far_ahead
from services.sessions.trigger_values import (
    Defined,
    Fired,
    Preview,
    TriggerDefinition,
    TriggerPage,
    TriggerStatus,
    TriggerView,
)
from services.sessions.values import WrongState
from services.streams.event import EventInput, StreamId
from services.streams.log import Log
from services.streams.schedule_events import Definition, Origin, TriggerDefined, TriggerFired, TriggerRemoved
from services.streams.store_time import now_ms
from services.streams.vocabulary import StreamCreated
from services.tokens import TokenId

MOST_PREVIEWED = 1000
_ATTEMPTS = 8
_SOURCE = "schedule"


class Triggers:
    """The triggers of one store, for the `agents` that are configured; `places` is where they may be answered."""

    def __init__(self, log: Log, agents: Collection[str], places: KnownPlaces) -> None:
        self.log, self._agents, self._places = log, agents, places
        self._index = Index(log)

    def define(self, trigger: str, definition: Definition, *, origin: Origin = "api") -> Defined:
        """Make `trigger` what `definition` says, from now on.

        Raises: Invalid, WrongState (it is declared in the configuration), Conflict, Overloaded, Unavailable.
        """
        stream = stream_of(check_id(trigger))
        check_definition(definition, self._agents, self._places)
        self._check_agent(trigger, definition)
        for _ in range(_ATTEMPTS):
            known = self.known(stream)
            self._check_change(known, definition, origin)
            if _is_so(known, definition, origin):
                return Defined(trigger=view(trigger, known), changed=False)
            is_new = known.state.definition is None
            if is_new:
                # Before it is there: one that is not listed would be due unseen.
                self._index.admit(stream)
            event = EventInput.of("trigger.defined", TriggerDefined(definition=definition, origin=origin))
            try:
                self._append(stream, event, expected=known.head)
            except Conflict:
                continue
            if is_new:
                self._index.add(stream)
            return Defined(trigger=view(trigger, self.known(stream)), changed=True)
        raise Conflict("trigger")

    def remove(self, trigger: str, *, origin: Origin = "api") -> TriggerView:
        """Have it due no more. What its ticks came to can still be read.

        Raises: NotFound, WrongState, Conflict, Unavailable.
        """
        stream = stream_of(trigger)
        for _ in range(_ATTEMPTS):
            known = self._existing(trigger)
            if known.state.origin != origin:
                raise WrongState(_declared(known.state.origin))
            try:
                self._append(stream, EventInput.of("trigger.removed", TriggerRemoved()), expected=known.head)
            except Conflict:
                continue
            return view(trigger, self.known(stream))
        raise Conflict("trigger")

    def fire(self, trigger: str, *, token: TokenId, key: str | None = None) -> Fired:
        """Do it now, whatever the time. The same (token, key) finds the first again.

        Raises: NotFound, KeyReused, Overloaded, Unavailable.
        """
        self._existing(trigger)
        stream = stream_of(trigger)
        event_key = None if key is None else f"fire:{token}:{key}"
        event = EventInput.of("trigger.fired", TriggerFired(), key=event_key)
        done = self.log.append(stream, [event], if_exists=True, guarded=True, is_activity=False)
        offset = done.offsets[0]
        return Fired(trigger=trigger, tick=manual_name(offset), offset=offset, duplicate=done.duplicates[0])

    def show(self, trigger: str) -> TriggerView:
        """One trigger, or one that was removed. Raises: NotFound, Unavailable."""
        known = self.known(stream_of(trigger))
        if not known.head:
            raise NotFound(f"trigger {trigger}")
        return view(trigger, known)

    def page(self, *, cursor: str | None = None, limit: int = 100) -> TriggerPage:
        """Triggers that are not removed, by their id. Raises: Unavailable."""
        streams = [one for one in self._index.every() if cursor is None or trigger_of(one) > cursor]
        found: list[TriggerView] = []
        while streams and len(found) < limit:
            # Hardly any that is listed was removed: one round is all, most of the time.
            chunk, streams = streams[: limit - len(found)], streams[limit - len(found) :]
            found += [view(trigger_of(stream), each) for stream, each in self._known_of(chunk)]
        return TriggerPage(triggers=tuple(found), cursor=found[-1].id if streams else None)

    def every(self) -> Iterator[tuple[StreamId, Known]]:
        """All triggers that are there, by their id. Raises: Unavailable."""
        return self._known_of(self._index.every())

    def known(self, stream: StreamId) -> Known:
        """What a trigger's events come to, those included that no worker has looked at. Raises: Unavailable."""
        return known(self.log, stream)

    def _known_of(self, streams: Sequence[StreamId]) -> Iterator[tuple[StreamId, Known]]:
        return (one for one in known_of(self.log, streams) if one[1].state.definition is not None)

    def preview(self, cron: str, tz: str, *, after: int | None, count: int) -> Preview:
        """The next `count` due times of an expression. Raises: Invalid, Unavailable."""
        start = now_ms(self.log.store, self.log.keys) if after is None else after
        if start >= END_MS:
            raise Invalid("after", "must be epoch milliseconds before the year 10000")
        try:
            zone = zone_of(tz)
            times = tuple(islice(Times(cron, tz).between(start, 2**62), min(count, MOST_PREVIEWED)))
        except BadTimes as error:
            raise Invalid("expr" if error.field == "cron" else error.field, error.reason) from None
        local = (datetime.fromtimestamp(at / 1000, UTC).astimezone(zone).isoformat() for at in times)
        return Preview(times=times, local=tuple(local))

    def _check_agent(self, trigger: str, definition: Definition) -> None:
        """A session keeps its agent, and with it the trigger whose ticks it takes."""
        if definition.session == "each":
            return
        first = self.log.get(session_of(trigger, "", is_one=True), 1)
        if first is not None and (agent := first.decode(StreamCreated).agent) != definition.agent:
            raise Invalid(
                "agent", f"must stay {agent!r}: the session that all its ticks go to is that agent's"
            )

    def _check_change(self, known: Known, definition: Definition, origin: Origin) -> None:
        state = known.state
        if origin == "api" and state.definition is not None and state.origin == "config":
            raise WrongState(_declared("config"))
        if origin == "api" and definition.at and definition.at <= max(known.now, state.after):
            same = state.definition is not None and state.definition.at == definition.at
            if not same:
                raise Invalid("at", "must be in the future")
        if known.unread >= MOST_SPANS:
            raise Overloaded("trigger_changes_wait")

    def _existing(self, trigger: str) -> Known:
        known = self.known(stream_of(trigger))
        if known.state.definition is None:
            raise NotFound(f"trigger {trigger}")
        return known

    def _append(self, stream: StreamId, event: EventInput, *, expected: int) -> None:
        created = EventInput.of("stream.created", StreamCreated(source=_SOURCE))
        self.log.append(
            stream,
            [event],
            create=None if expected else created,
            expected=expected,
            guarded=True,
            is_activity=False,
        )


def view(trigger: str, known: Known) -> TriggerView:
    """How a trigger is shown."""
    state = known.state
    due = None if known.stands else _next(state)
    return TriggerView(
        id=trigger,
        status=_status(known, due),
        origin=state.origin,
        definition=TriggerDefinition.of(state.definition) if state.definition else None,
        next=due,
        reason=known.stands,
        open=len(state.open),
        head=known.head,
    )


def _is_so(known: Known, definition: Definition, origin: Origin) -> bool:
    """Whether nothing is to be written. One that stands still has another try at what it is."""
    state = known.state
    stands = bool(state.parked) or is_far_ahead(state, known.now)
    return (state.definition, state.origin) == (definition, origin) and not stands


def _status(known: Known, due: int | None) -> TriggerStatus:
    state = known.state
    if state.definition is None:
        return "removed"
    if known.stands:
        return "parked"
    if state.definition.paused:
        return "paused"
    return "active" if due is not None else "done"


def _next(state: TriggerState) -> int | None:
    if state.definition is None or state.definition.paused or state.parked:
        return None
    try:
        return state.spans[-1].next(state.after)
    except BadTimes:
        return None


def _declared(origin: Origin) -> str:
    if origin == "config":
        return "the trigger is declared in the configuration: change [[triggers]] and restart"
    return "the trigger is not one of the configuration's"
