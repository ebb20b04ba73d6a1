"""What people are told about sessions: the values that commands and pages return, as they go out in JSON."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from services.channels.http.targets import shown
from services.diagnosis.wait import WaitReason
from services.errors import Invalid, Refused
from services.streams.event import Event, StreamId
from services.streams.payload import Policy
from services.streams.vocabulary import InputReceived, TurnOutcome, Usage

Status = Literal["idle", "running", "waiting", "paused", "faulted"]

OutboxState = Literal[
    "queued", "sending", "backing_off", "poisoned", "failed", "gone", "uncertain", "discarded"
]

SESSION_ID = r"[A-Za-z0-9._:-]{1,200}"

_session_id = re.compile(SESSION_ID)
_traceparent = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


class WrongState(Refused):
    """The command does not fit the state the session is in. The text says which state is meant."""


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all values."""


class Accepted(Value, frozen=True, kw_only=True):
    """An input is durably stored at `offset`; `duplicate` when it was there before."""

    session: str
    offset: int
    duplicate: bool


class Answered(Accepted, frozen=True, kw_only=True):
    """The turn that answered an input is settled."""

    outcome: TurnOutcome
    text: str
    reason: str = ""
    usage: Usage = Usage()


class Commanded(Value, frozen=True, kw_only=True):
    """A command is in the log at `offset`; `changed` is false when there was nothing to do."""

    session: str
    offset: int
    changed: bool


class EventView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A committed event. Times are epoch milliseconds. Of a callback it shows where to, without the path."""

    offset: int
    type: str
    v: int
    payload: msgspec.Raw
    created_at: int
    key: str | None = None
    cause: tuple[str, ...] = ()
    trace_id: str | None = None

    @classmethod
    def of(cls, event: Event) -> EventView:
        """How `event` is shown."""
        trace = _traceparent.fullmatch(event.trace or "")
        return cls(
            offset=event.offset,
            type=event.type,
            v=event.v,
            payload=_shown_payload(event),
            created_at=event.created_at,
            key=event.key,
            cause=event.cause,
            trace_id=trace.group(1) if trace else event.trace,
        )


class EventPage(Value, frozen=True, kw_only=True):
    """Events of one session, oldest first. `head` is its last offset, `next` the one to read on after."""

    events: tuple[EventView, ...]
    head: int
    next: int


class PendingInput(Value, frozen=True, kw_only=True):
    """An input that no request lists yet. `text` is the newest."""

    offset: int
    text: str
    policy: Policy
    created_at: int
    author: str | None = None


class PendingInputs(Value, frozen=True, kw_only=True):
    """The pending inputs of a session, oldest first."""

    inputs: tuple[PendingInput, ...]


class Utterance(Value, frozen=True, kw_only=True):
    """One entry of a conversation: what a person said, or how a turn ended."""

    role: Literal["user", "assistant"]
    offset: int
    created_at: int
    text: str
    turn: int | None = None
    outcome: TurnOutcome | None = None
    reason: str = ""
    author: str | None = None


class ProcessorView(Value, frozen=True, kw_only=True):
    """A processor of one session. `offset` is None when it stands at the session's checkpoint."""

    name: str
    version: int
    status: Literal["ok", "parked"]
    offset: int | None = None
    error: str = ""
    fault: int = 0


class Why(Value, frozen=True, kw_only=True):
    """The answer to "why": none for an idle session. `replies` are what keeps its first few replies."""

    session: str
    status: Status
    wait: WaitReason | None
    now: int
    replies: tuple[WaitReason, ...] = ()


class SessionDetail(Value, frozen=True, kw_only=True):
    """One session. `conversation` is its newest page, oldest entry first; `before` pages back, if set."""

    session: str
    agent: str
    status: Status
    wait: WaitReason | None
    head: int
    created_at: int
    usage: Usage
    processors: tuple[ProcessorView, ...]
    conversation: tuple[Utterance, ...]
    before: int | None


class SessionLine(Value, frozen=True, kw_only=True):
    """One session in a list. Times are epoch milliseconds."""

    session: str
    source: str
    status: Status
    updated_at: int


class SessionPage(Value, frozen=True, kw_only=True):
    """Sessions, newest activity first. `cursor` asks for the next page, None when there is none."""

    sessions: tuple[SessionLine, ...]
    cursor: str | None


class OutboxEntry(Value, frozen=True, kw_only=True):
    """A reply owed to somebody outside, or one that could not be delivered. Times are epoch milliseconds.

    `destination` tells places apart, `address` names one without what may be secret in it. `error` is a safe
    word for the end, or for the last attempt, of which `code` tells more; `status` the HTTP status of the end,
    or 0. `replayed_as` is the newest entry that tells the same again.
    """

    id: str
    session: str
    channel: str
    destination: str
    address: str
    state: OutboxState
    turn: int
    attempts: int
    since: int
    next_attempt_at: int | None
    ended_at: int | None
    error: str
    code: str
    status: int
    replayed_as: str


class OutboxPage(Value, frozen=True, kw_only=True):
    """Entries of the outbox, those of a session together. `cursor` asks for the next page, None at the end."""

    entries: tuple[OutboxEntry, ...]
    cursor: str | None


class InstalledProcessor(Value, frozen=True, kw_only=True):
    """A processor this installation can run."""

    name: str
    version: int
    consumes: tuple[str, ...]
    emits: tuple[str, ...]


class InstalledProcessors(Value, frozen=True, kw_only=True):
    """Every processor this installation can run, by name."""

    processors: tuple[InstalledProcessor, ...]


def _shown_payload(event: Event) -> msgspec.Raw:
    if event.type != "input.received" or b'"callback"' not in bytes(event.payload):
        return event.payload
    fields = msgspec.json.decode(event.payload, type=dict[str, msgspec.Raw])
    callback = event.decode(InputReceived).callback
    if callback is not None:
        fields["callback"] = msgspec.Raw(msgspec.json.encode(shown(callback)))
    return msgspec.Raw(msgspec.json.encode(fields))


def session_id(text: str) -> StreamId:
    """Parse a session id. Raises: Invalid."""
    if not _session_id.fullmatch(text):
        raise Invalid("session", "must be 1 to 200 of A-Z a-z 0-9 . _ : -")
    return StreamId(text)
