"""Commands on a session: its pending inputs, its running turn, pause and resume, its processors.

Each is one event in the log; what follows from it is the processors' business.
"""

from __future__ import annotations

from collections.abc import Mapping

from services.errors import Conflict, Invalid, NotFound, NotPending
from services.processors.agent.state import offsets
from services.processors.attaching import attachment_key
from services.processors.contract import Contract
from services.sessions.conversation import Edits
from services.sessions.inspection import Explain, Inspection, inspect
from services.sessions.scans import forward
from services.sessions.values import (
    Commanded,
    InstalledProcessor,
    InstalledProcessors,
    PendingInput,
    PendingInputs,
    ProcessorView,
    WrongState,
)
from services.streams.event import Event, EventInput, Offset, StreamId
from services.streams.keys import is_session
from services.streams.log import Log
from services.streams.vocabulary import (
    CancelRequested,
    InputReceived,
    InputReplaced,
    InputWithdrawn,
    ProcessorAttached,
    ProcessorUnparked,
    StreamPaused,
    StreamResumed,
)

ATTEMPTS = 20
REASON_LIMIT = 200


class Controls:
    """Commands on the sessions of one store. `installed` are the processors that may be attached."""

    def __init__(self, log: Log, explain: Explain, installed: Mapping[str, Contract]) -> None:
        self._log = log
        self._explain = explain
        self._installed = installed

    def cancel(self, stream: StreamId, *, queued: bool = False) -> Commanded:
        """Stop the running turn, with `queued` what waits behind it too; nothing where nothing is going on.

        Raises: NotFound, Unavailable.
        """
        _check_session(stream)
        seen = inspect(self._log, self._explain, stream)
        agent = seen.agent
        if seen.is_current and agent.turn is None and not agent.pending:
            return Commanded(session=stream, offset=seen.head, changed=False)
        turn = agent.turn.n if agent.turn else agent.turns + 1
        event = EventInput.of("turn.cancel_requested", CancelRequested(queued=queued, turn=turn))
        return self._append(stream, event)

    def pause(self, stream: StreamId, *, reason: str = "operator") -> Commanded:
        """Take no inputs and start no jobs until resumed. Raises: Invalid, NotFound, Unavailable."""
        _check_session(stream)
        reason = reason.strip()
        if not 0 < len(reason) <= REASON_LIMIT:
            raise Invalid("reason", f"must be 1 to {REASON_LIMIT} characters")
        event = EventInput.of("stream.paused", StreamPaused(reason=reason))
        done = self._log.gate(stream, event, paused=reason)
        return Commanded(session=stream, offset=done.offset, changed=done.changed)

    def resume(self, stream: StreamId) -> Commanded:
        """Take inputs again. Raises: NotFound, Unavailable."""
        done = self._log.gate(stream, EventInput.of("stream.resumed", StreamResumed()), paused=None)
        return Commanded(session=stream, offset=done.offset, changed=done.changed)

    def pending(self, stream: StreamId) -> PendingInputs:
        """The inputs no request lists yet, oldest first. Raises: NotFound, Unavailable."""
        seen = inspect(self._log, self._explain, stream)
        wanted = frozenset(offsets(seen.agent.pending))
        if not wanted:
            return PendingInputs(inputs=())
        events = list(forward(self._log, stream, after=min(wanted) - 1))
        edits = Edits(events)
        return PendingInputs(inputs=tuple(_shown(each, edits) for each in events if each.offset in wanted))

    def replace(self, stream: StreamId, offset: Offset, text: str) -> Commanded:
        """Change the text of a pending input.

        Raises: Invalid, NotFound, NotPending, Conflict, Unavailable.
        """
        if not text.strip():
            raise Invalid("text", "must not be empty")
        event = EventInput.of("input.replaced", InputReplaced(input=offset, text=text))
        return self._edit(stream, offset, event)

    def withdraw(self, stream: StreamId, offset: Offset) -> Commanded:
        """Take a pending input back. Raises: NotFound, NotPending, Conflict, Unavailable."""
        return self._edit(stream, offset, EventInput.of("input.withdrawn", InputWithdrawn(input=offset)))

    def installed(self) -> InstalledProcessors:
        """Every processor that may be attached."""
        return InstalledProcessors(
            processors=tuple(
                InstalledProcessor(
                    name=name,
                    version=each.version,
                    consumes=tuple(sorted(each.consumes)),
                    emits=tuple(sorted(each.emits)),
                )
                for name, each in sorted(self._installed.items())
            )
        )

    def attach(self, stream: StreamId, name: str) -> Commanded:
        """Let an installed processor follow the session from now on. Raises: NotFound, Unavailable."""
        contract = self._installed.get(name)
        if contract is None:
            raise NotFound(f"processor {name}")
        _check_session(stream)
        seen = inspect(self._log, self._explain, stream)
        if any(each.name == name for each in seen.processors):
            return Commanded(session=stream, offset=seen.head, changed=False)
        event = EventInput.of(
            "processor.attached",
            ProcessorAttached(name=name, version=contract.version),
            key=attachment_key(name),
        )
        done = self._log.append(stream, [event], if_exists=True, existing_wins=True)
        return Commanded(session=stream, offset=done.offsets[0], changed=not done.duplicates[0])

    def unpark(self, stream: StreamId, name: str, *, skip: bool) -> Commanded:
        """Let a parked processor try again, or with `skip` pass by the event it stumbled over.

        Raises: NotFound, WrongState (not parked), Unavailable.
        """
        seen = inspect(self._log, self._explain, stream)
        if _named(seen, name).status != "parked":
            raise WrongState(f"the processor {name} is not parked")
        type_ = "processor.skipped" if skip else "processor.resumed"
        return self._append(stream, EventInput.of(type_, ProcessorUnparked(name=name)))

    def _append(self, stream: StreamId, event: EventInput) -> Commanded:
        done = self._log.append(stream, [event], if_exists=True)
        return Commanded(session=stream, offset=done.offsets[0], changed=True)

    def _edit(self, stream: StreamId, offset: Offset, event: EventInput) -> Commanded:
        for _ in range(ATTEMPTS):
            seen = inspect(self._log, self._explain, stream)
            if not seen.is_current:
                raise Conflict("busy")
            if offset not in offsets(seen.agent.pending):
                raise self._missing(stream, offset)
            try:
                done = self._log.append(stream, [event], if_exists=True, expected=seen.head)
            except Conflict:
                continue
            return Commanded(session=stream, offset=done.offsets[0], changed=True)
        raise Conflict("busy")

    def _missing(self, stream: StreamId, offset: Offset) -> NotFound | NotPending:
        event = self._log.get(stream, offset)
        if event is None or event.type != "input.received":
            return NotFound(f"input {offset}")
        return NotPending("the input can no longer be changed")


def _check_session(stream: StreamId) -> None:
    """Nobody talks in the streams of deliveries and triggers: there is nothing to pause or to stop."""
    if not is_session(stream):
        raise NotFound(f"session {stream}")


def _shown(event: Event, edits: Edits) -> PendingInput:
    received = event.decode(InputReceived)
    return PendingInput(
        offset=event.offset,
        text=edits.texts.get(event.offset, received.text),
        policy=received.policy,
        created_at=event.created_at,
        author=received.author,
    )


def _named(seen: Inspection, name: str) -> ProcessorView:
    for each in seen.processors:
        if each.name == name:
            return each
    raise NotFound(f"processor {name} of session {seen.stream}")
