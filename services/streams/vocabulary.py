"""The shapes of what happens in sessions: inputs, turns, requests, tools and replies.

A shape only ever gains fields with defaults; readers ignore what they do not know.
"""

from __future__ import annotations

from typing import Literal

from services.streams.payload import Payload, Policy

TurnOutcome = Literal["answered", "failed", "cancelled", "superseded", "limited"]


class StreamCreated(Payload, frozen=True):
    """Always at offset 1. `agent` is fixed for the life of the session."""

    agent: str = "default"
    parent: str | None = None
    source: str = "prompt"


class ChildCreated(Payload, frozen=True):
    """A descendant stream exists; told to every ancestor."""

    child: str
    parent: str


class StreamPaused(Payload, frozen=True):
    """External inputs are refused and no job starts until `stream.resumed`."""

    reason: str
    by: str = "operator"


class StreamResumed(Payload, frozen=True):
    """The session takes inputs again."""

    by: str = "operator"


class InputReceived(Payload, frozen=True):
    """Somebody said something. `policy` decides what it does to a running turn.

    `callback` is an address the answer is also delivered to; it may hold a secret of its owner. `reply_to` is the
    thread it came from and is answered in, `<channel>:…`; `permission` what its author may do there, `message` the
    channel's own name of what was said. `is_bot`: a program said it. `tick` is what said it because it was due,
    `<trigger>@<tick>`.
    """

    text: str
    policy: Policy = "follow_up"
    debounce_ms: int | None = None
    source: str = "http"
    author: str | None = None
    callback: str | None = None
    reply_to: str | None = None
    permission: str = ""
    message: str = ""
    is_bot: bool = False
    tick: str = ""


class InputReplaced(Payload, frozen=True):
    """The text of a pending input was changed before any request listed it."""

    input: int
    text: str


class InputWithdrawn(Payload, frozen=True):
    """A pending input was taken back; it leaves no trace in the history."""

    input: int


class CancelRequested(Payload, frozen=True):
    """A person stopped the running turn; with `queued` also what waits behind it.

    `turn` is the one they saw, or the next when none had begun: a later one is not meant. 0: whichever runs.
    """

    queued: bool = False
    turn: int = 0
    by: str = "operator"


class TurnStarted(Payload, frozen=True):
    """A turn began for `inputs`. `turn` counts from 1 in its stream.

    `debounced_ms`: how long the first of them had waited for more.
    """

    turn: int
    inputs: tuple[int, ...]
    debounced_ms: int = 0


class LLMRequested(Payload, frozen=True):
    """The model is owed a request. By reference: the text is built from the log when it runs.

    `upto` is the last offset whose silent inputs belong to the request.
    """

    turn: int
    job: str
    step: int
    inputs: tuple[int, ...]
    upto: int
    agent: str = "default"
    config: str = ""


class JobStarted(Payload, frozen=True):
    """`llm.started` and the same of `tool`, `reply`, `inbound` and `tick`: `attempt` of `job` runs in `incarnation`."""

    job: str
    attempt: int
    incarnation: str
    effect: str = ""


class ToolCall(Payload, frozen=True):
    """One call the model asked for. `arguments` is the model's own JSON text."""

    id: str
    name: str
    arguments: str = "{}"


class Usage(Payload, frozen=True, omit_defaults=False):
    """Tokens of one request or one turn. `input` includes those read from a vendor's cache (`cached`) and those
    written to it (`cache_write`), `output` those of `reasoning`.

    `cost_microusd` is in millionths of a dollar; None where no price is known, which sums pass over.
    """

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0
    cost_microusd: int | None = None

    def plus(self, other: Usage) -> Usage:
        """The sum of both."""
        costs = [cost for cost in (self.cost_microusd, other.cost_microusd) if cost is not None]
        return Usage(
            input=self.input + other.input,
            output=self.output + other.output,
            cached=self.cached + other.cached,
            cache_write=self.cache_write + other.cache_write,
            reasoning=self.reasoning + other.reasoning,
            cost_microusd=sum(costs) if costs else None,
        )


class AttemptFacts(Payload, frozen=True):
    """How an attempt at a request went. `phase` is how far it came, `code` a detail of its error.

    `first_ms` is the time from its start to the first piece of the answer (-1: none came), `spent_ms` to its end.
    `halved`: it was asked with half of the history, as the model had called the whole too long.
    """

    phase: Literal["", "unsent", "waiting", "streaming"] = ""
    code: str = ""
    spent_ms: int = 0
    first_ms: int = -1
    halved: bool = False
    usage: Usage = Usage()


class AttemptEnded(AttemptFacts, frozen=True, kw_only=True):
    """`llm.attempt_failed` and the same of `tool`, `reply`, `inbound` and `tick`: not the end; due again at `retry_at`.

    `free` attempts cost nothing of the budget. `model` was asked, as it is configured; `retry_after_ms` is what
    its vendor wished for, from this event on. Times in epoch milliseconds.
    """

    job: str
    error: str
    retry_at: int
    free: bool = False
    model: str = ""
    retry_after_ms: int | None = None


class LLMSettled(AttemptFacts, frozen=True, kw_only=True):
    """The one outcome of an LLM job, with the facts of its last attempt. A cancelled one keeps the partial `text`.

    `asked` is the model as it is configured, empty where none was, `model` as its vendor names it.
    """

    job: str
    outcome: Literal["succeeded", "failed", "cancelled"]
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    asked: str = ""
    model: str = ""
    error: str = ""


class LLMCancelRequested(Payload, frozen=True):
    """The holder of `job` is to stop; at `deadline` (epoch ms) the turn goes on without it."""

    job: str
    deadline: int
    then: Literal["cancelled", "superseded"]


class HistoryWindowed(Payload, frozen=True):
    """Whole turns before `first_turn` were left out of `job` to fit the model's context."""

    job: str
    first_turn: int


class ToolRequested(Payload, frozen=True):
    """A tool call is owed. `call` is the model's id of it."""

    turn: int
    job: str
    call: str
    name: str
    arguments: str


class ToolSettled(Payload, frozen=True):
    """The one outcome of a tool job; `result` is what the model is told."""

    job: str
    outcome: Literal["succeeded", "failed", "interrupted", "cancelled"]
    result: str = ""
    error: str = ""


class TurnSettled(Payload, frozen=True, omit_defaults=False):
    """Once per turn. `inputs` are the offsets it answered; a superseded turn hands them on and lists none.

    `started_at` is when it began, in epoch milliseconds; 0 for a turn that never did.
    """

    turn: int
    outcome: TurnOutcome
    inputs: tuple[int, ...]
    text: str = ""
    usage: Usage = Usage()
    reason: str = ""
    trace_id: str = ""
    agent: str = ""
    started_at: int = 0


class Reply(Payload, frozen=True, kw_only=True):
    """What is to be told outside, through `channel`: how `turn` was settled, to where the first of `inputs` says.

    `destination` tells destinations of a session apart and names no address. `settled` is the offset of the
    turn's end where it is known; 0: shortly before the reply was queued. A `note` is told as it is, in the thread
    `reply_to`: it is no turn's (0), answers no input, and `settled` is where it was first queued, 0: here.
    """

    channel: str
    turn: int
    inputs: tuple[int, ...]
    destination: str
    settled: int = 0
    note: str = ""
    reply_to: str = ""


class ReplyQueued(Reply, frozen=True, kw_only=True):
    """The end of a turn, or a note, is owed to somebody outside; `job` is the entry of the outbox.

    A person's replay of an entry is a new one; `origin` is then the first. A status (`is_status`) makes room for
    whatever comes after it.
    """

    job: str
    origin: str = ""
    is_status: bool = False


class ReplayRequested(Reply, frozen=True, kw_only=True):
    """A person wants the reply of an ended entry `job` sent again; `origin` is the first entry that held it."""

    job: str
    origin: str
    by: str = "operator"


class ReplySettled(Payload, frozen=True):
    """`reply.delivered`, `reply.uncertain` (it may have arrived), `reply.failed`: the one outcome of an entry.

    `error` is a safe code; `status` the last HTTP status there was, or 0. `thread` is where people wait for an answer
    that failed, and can be told so.
    """

    job: str
    error: str = ""
    status: int = 0
    thread: str = ""


class DiscardRequested(Payload, frozen=True):
    """A person wants the entry `job` not to be delivered any more."""

    job: str
    by: str = "operator"


class ProcessorAttached(Payload, frozen=True):
    """From here on `name` reacts; what is older than this event it only reduces."""

    name: str
    version: int


class ProcessorFaulted(Payload, frozen=True):
    """`name` is parked before the event at `offset`; a person resumes or skips it."""

    name: str
    version: int
    offset: int
    error: str


class ProcessorUnparked(Payload, frozen=True):
    """`processor.resumed` and `processor.skipped`: what a person decided about a parked processor."""

    name: str
    by: str = "operator"
