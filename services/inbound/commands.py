"""Commands that people give where they talk: stop, status, why, retry, reset, help. The model hears nothing of them.

What a command does and the note that answers it are appended in one step, by a key: a repeat changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from services.channels.contract import DeliveryError
from services.diagnosis.wording import why_text
from services.inbound.contract import Commanded
from services.sessions.inspection import Explain, Inspection, inspect
from services.sessions.scans import backward
from services.streams.event import EventInput, Offset, StreamId
from services.streams.inbound_events import InboundQueued, InboundSettled, InboundState
from services.streams.keys import stream_of
from services.streams.log import Log
from services.streams.near import newest_first
from services.streams.thread_events import HistoryForgotten, NoteRequested
from services.streams.vocabulary import (
    CancelRequested,
    InputReceived,
    InputReplaced,
    InputWithdrawn,
    StreamCreated,
)

WORDS = frozenset({"stop", "status", "why", "retry", "reset", "help"})
HELP = """I answer to these, in a thread with an exclamation mark, like `!stop`:
- `stop`: what I am doing here, and what waits behind it
- `status`: whether I am at work
- `why`: what I am waiting for
- `retry`: answer what was asked last once more
- `reset`: forget what was said in this thread so far
- `help`: this"""
NO_THREAD = "Nobody has talked to me here yet."
AGAIN = "Asked again: the answer comes in the thread."
NOT_KNOWN = "That was taken back, or I was told to forget it."
FORGOTTEN = "I start anew here: what was said before, I do not know any more."
_PAGE = 100
_PAGES = 20


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command; `offset` is that of the event in `session` that it led to, 0 for none."""

    state: InboundState
    reason: str = ""
    session: StreamId = StreamId("")
    offset: Offset = 0


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a command does. `note` tells of it in the thread, empty where what happens there tells enough; `answer`
    tells who is answered elsewhere."""

    note: str = ""
    answer: str
    events: tuple[EventInput, ...] = ()

    @classmethod
    def only(cls, text: str) -> _Plan:
        """Nothing but words."""
        return cls(note=text, answer=text)


class Commands:
    """Commands on the sessions of `log`. `explain` says why one waits."""

    def __init__(self, log: Log, explain: Explain) -> None:
        self._log, self._explain = log, explain

    def run(self, queued: InboundQueued, given: Commanded) -> Done:
        """Do what was wanted, once, and tell whoever wanted it. Raises: DeliveryError, Unavailable, Overloaded."""
        session = self._meant(queued, given)
        is_there = bool(session) and self._log.head(session) > 0
        if queued.is_there and not is_there and given.respond is None:
            return Done(state="ignored", reason="not_our_thread")
        if given.begin is not None and not given.refusal:
            _quietly(given.begin)
        key = f"command:{given.key}"
        offset = self._log.offset_of(session, key) if is_there else None
        if offset is not None:
            plan = _Plan(answer=AGAIN if given.word == "retry" else "Done.")
        else:
            is_here = session == queued.session
            plan = self._plan(session, given, is_here=is_here) if is_there else _without_session(given)
            offset = self._append(session, key, plan, given, agent=queued.agent) if session else 0
        if given.respond is not None:
            _respond(given.respond, plan.answer)
        if given.refusal:
            return Done(state="dropped", reason="may_not_command", session=session)
        return Done(state="routed", session=session, offset=offset)

    def _meant(self, queued: InboundQueued, given: Commanded) -> StreamId:
        """The session of its thread; what is given outside of threads means the one last spoken to, except help."""
        own = StreamId(queued.session)
        if own and (queued.is_there or given.word == "help" or self._log.head(own)):
            return own
        return self._last_spoken_to(stream_of(queued.job), before=queued.delivery) or own

    def _append(self, session: StreamId, key: str, plan: _Plan, given: Commanded, *, agent: str) -> Offset:
        events = list(plan.events)
        if given.reply_to and plan.note:
            note = NoteRequested(text=plan.note, reply_to=given.reply_to, by=given.by)
            events.append(EventInput.of("reply.note_requested", note))
        if not events:
            return 0
        events[0] = msgspec.structs.replace(events[0], key=key)
        # In a thread that is new to us, somebody asks for help before anything else.
        created = StreamCreated(agent=agent, source=session.partition(":")[0])
        done = self._log.append(
            session, events, create=EventInput.of("stream.created", created), existing_wins=True
        )
        return done.offsets[0]

    def _plan(self, session: StreamId, given: Commanded, *, is_here: bool) -> _Plan:
        if given.refusal:
            return _Plan.only(given.refusal)
        seen = inspect(self._log, self._explain, session)
        match given.word:
            case "stop":
                return _stop(seen, given.by)
            case "status":
                return _Plan.only(_status(seen))
            case "why":
                return _Plan.only(why_text(seen.status, seen.wait))
            case "retry":
                return self._retry(seen, given, is_here=is_here)
            case "reset":
                return _reset(seen, given.by)
            case _:
                return _Plan.only(HELP)

    def _retry(self, seen: Inspection, given: Commanded, *, is_here: bool) -> _Plan:
        if seen.status == "paused":
            return _Plan.only(f"Not now: {why_text(seen.status, seen.wait)}")
        if not given.input and (seen.agent.turn is not None or seen.agent.pending):
            return _Plan.only("I am still at it.")
        said = self._asked(seen, given.input)
        if said is None:
            return _Plan.only(NOT_KNOWN if given.input else "Nobody has asked me anything here yet.")
        again = msgspec.structs.replace(
            said,
            policy="follow_up",
            debounce_ms=0,
            callback=None,
            reply_to=(given.reply_to if is_here else "") or said.reply_to,
            # Somebody wants it, whoever asked first.
            is_bot=False,
        )
        return _Plan(answer=AGAIN, events=(EventInput.of("input.received", again),))

    def _asked(self, seen: Inspection, at: Offset) -> InputReceived | None:
        """What was asked last, or `at` that offset, as it was changed, unless it was taken back or is forgotten."""
        texts: dict[Offset, str] = {}
        withdrawn: set[Offset] = set()
        for event in backward(self._log, seen.stream, before=seen.head + 1, page=_PAGE):
            match event.type:
                case "history.forgotten":
                    return None
                case "input.replaced":
                    replaced = event.decode(InputReplaced)
                    texts.setdefault(replaced.input, replaced.text)
                case "input.withdrawn":
                    withdrawn.add(event.decode(InputWithdrawn).input)
                case "input.received" if event.offset not in withdrawn and at in (0, event.offset):
                    said = event.decode(InputReceived)
                    if said.policy != "silent":
                        return msgspec.structs.replace(said, text=texts.get(event.offset, said.text))
        return None

    def _last_spoken_to(self, stream: StreamId, *, before: Offset) -> StreamId:
        """The session that what came last to that place went to; empty when there is none.

        Only what came `before`: a command that is run again must not find another one.
        """
        for n, event in enumerate(newest_first(self._log, stream, page=_PAGE)):
            if n >= _PAGE * _PAGES:
                break
            if event.type == "inbound.settled":
                settled = event.decode(InboundSettled)
                if settled.state == "routed" and settled.session and settled.delivery < before:
                    return StreamId(settled.session)
        return StreamId("")


def _stop(seen: Inspection, by: str) -> _Plan:
    # The end of the turn says in the thread that it was stopped.
    cancel = _cancel(seen, by)
    return _Plan(answer="Stopped.", events=cancel) if cancel else _Plan.only("Nothing is going on here.")


def _reset(seen: Inspection, by: str) -> _Plan:
    forgotten = EventInput.of("history.forgotten", HistoryForgotten(by=by))
    return _Plan(note=FORGOTTEN, answer=FORGOTTEN, events=(*_cancel(seen, by), forgotten))


def _cancel(seen: Inspection, by: str) -> tuple[EventInput, ...]:
    agent = seen.agent
    if seen.is_current and agent.turn is None and not agent.pending:
        return ()
    turn = agent.turn.n if agent.turn else agent.turns + 1
    return (EventInput.of("turn.cancel_requested", CancelRequested(queued=True, turn=turn, by=by)),)


def _status(seen: Inspection) -> str:
    waiting = seen.agent.waiting
    behind = f" {waiting} more {'waits' if waiting == 1 else 'wait'}." if waiting else ""
    match seen.status:
        case "idle":
            return "Idle: everything that was asked here is answered."
        case "running":
            return f"At work.{behind}"
        case "paused":
            return f"Paused.{behind}"
        case "faulted":
            return f"Broken: somebody who runs me has to look. `why` says more.{behind}"
        case _:
            return f"About to start.{behind}"


def _without_session(given: Commanded) -> _Plan:
    return _Plan.only(given.refusal or (HELP if given.word == "help" else NO_THREAD))


def _quietly(step: Callable[[], None]) -> None:
    """What only shows that it was heard must not keep it from being done."""
    try:
        step()
    except DeliveryError as error:
        if error.kind == "cancelled":
            raise


def _respond(respond: Callable[[str], None], text: str) -> None:
    try:
        respond(text)
    except DeliveryError as error:
        # It is done in any case; only what is known not to have been told is told again.
        if error.kind in ("cancelled", "not_sent", "overloaded"):
            raise
