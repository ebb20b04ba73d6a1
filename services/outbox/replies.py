"""The processor that owes replies: what a turn came to, told to whoever an input said.

Knows callbacks by digest only: the address stays in the input's own event. Decides from its state alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import msgspec

from services.outbox.entries import (
    CALLBACK,
    GONE_KEPT,
    Entries,
    Open,
    channel_of,
    destination_of,
    end,
    entry_id,
    number_of,
    queue,
    unqueued,
    with_entry,
)
from services.processors.contract import CancelJob, Contract, Decision, Moment, Processor
from services.streams.event import Event
from services.streams.thread_events import NOTE_LIMIT, NoteRequested
from services.streams.vocabulary import (
    AttemptEnded,
    DiscardRequested,
    InputReceived,
    InputWithdrawn,
    JobStarted,
    ReplayRequested,
    ReplyQueued,
    ReplySettled,
    TurnSettled,
)

# Queued in one step. One commit holds this step, the four that follow at once, and whatever ended the turn.
BATCH = 6
# Open entries before notes fail at once: nobody who asks for one is held back by those that wait, as prompts are.
MOST_OPEN = 1_000


class RepliesState(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`callbacks`: inputs that wait for an answer with a callback, and the digest of each; `threads`: those that
    are answered where they came from.

    `answered`: by the turn that answered them, those whose replies are still to be queued; `since` (epoch ms)
    when the last of these turns was settled.
    """

    entries: Entries = Entries()
    callbacks: dict[int, str] = {}
    threads: dict[int, str] = {}
    answered: dict[int, tuple[int, ...]] = {}
    since: int = 0


class Replies(Processor[RepliesState]):
    """Queues one reply per turn and destination, and heeds what people decide about queued ones."""

    contract = Contract(
        name="replies",
        version=1,
        consumes=frozenset(
            {
                "input.received",
                "input.withdrawn",
                "turn.settled",
                "reply.queued",
                "reply.started",
                "reply.attempt_failed",
                "reply.delivered",
                "reply.uncertain",
                "reply.failed",
                "reply.replay_requested",
                "reply.discard_requested",
                "reply.note_requested",
            }
        ),
        reacts=frozenset(
            {
                "turn.settled",
                "reply.failed",
                "reply.replay_requested",
                "reply.discard_requested",
                "reply.note_requested",
            }
        ),
        emits=frozenset({"reply.queued", "reply.failed"}),
    )
    state = RepliesState

    def reduce(self, state: RepliesState, event: Event) -> RepliesState:
        """Remember what is owed."""
        match event.type:
            case "input.received":
                return _with_input(state, event.offset, event.decode(InputReceived))
            case "input.withdrawn":
                return _without_inputs(state, (event.decode(InputWithdrawn).input,))
            case "turn.settled":
                return _answered(state, event.decode(TurnSettled), event.created_at)
            case "reply.queued":
                return _queued(state, event.decode(ReplyQueued))
            case (
                "reply.started"
                | "reply.attempt_failed"
                | "reply.delivered"
                | "reply.uncertain"
                | "reply.failed"
            ):
                return msgspec.structs.replace(state, entries=_gone_on(state.entries, event))
            case _:
                return state

    def react(self, state: RepliesState, event: Event, moment: Moment) -> Sequence[Decision]:
        """Owe, repeat, give up."""
        match event.type:
            case "turn.settled":
                return self._answer(state, moment)
            case "reply.replay_requested":
                return self._replay(state, event.decode(ReplayRequested), moment)
            case "reply.note_requested":
                return self._note(state, event.decode(NoteRequested), moment)
            case "reply.discard_requested":
                return self._discard(state, number_of(event.decode(DiscardRequested).job), moment)
            case "reply.failed" if event.decode(ReplySettled).error == "gone":
                return self._give_up(state, moment)
            case _:
                return ()

    def waiting(self, state: RepliesState) -> int:
        """Open entries: while nobody takes the replies, no more prompts are taken."""
        return len(state.entries.open)

    def wakes_at(self, state: RepliesState) -> int | None:
        """At once, while a turn was answered to more destinations than one step takes."""
        return state.since if state.answered else None

    def on_time(self, state: RepliesState, moment: Moment) -> Sequence[Decision]:
        """Go on with them."""
        return self._answer(state, moment)

    def _answer(self, state: RepliesState, moment: Moment) -> Sequence[Decision]:
        wanted: dict[tuple[int, str], list[int]] = {}
        for turn, inputs in state.answered.items():
            for offset in inputs:
                for destination in _destinations(state, offset):
                    wanted.setdefault((turn, destination), []).append(offset)
        return [
            decision
            for n, ((turn, destination), inputs) in enumerate(
                islice(wanted.items(), BATCH), start=state.entries.last + 1
            )
            for decision in queue(
                state.entries,
                moment.stream,
                ReplyQueued(
                    job=entry_id(moment.stream, n),
                    channel=channel_of(destination),
                    turn=turn,
                    inputs=tuple(inputs),
                    destination=destination,
                ),
            )
        ]

    def _replay(self, state: RepliesState, asked: ReplayRequested, moment: Moment) -> Sequence[Decision]:
        queued = ReplyQueued(
            job=entry_id(moment.stream, state.entries.last + 1),
            channel=asked.channel,
            turn=asked.turn,
            settled=asked.settled,
            inputs=asked.inputs,
            destination=asked.destination,
            note=asked.note,
            reply_to=asked.reply_to,
            origin=asked.origin,
        )
        # A person may know that somebody is there again.
        entries = msgspec.structs.replace(state.entries, gone=())
        return queue(entries, moment.stream, queued)

    def _note(self, state: RepliesState, asked: NoteRequested, moment: Moment) -> Sequence[Decision]:
        channel = asked.reply_to.partition(":")[0]
        queued = ReplyQueued(
            job=entry_id(moment.stream, state.entries.last + 1),
            channel=channel,
            turn=0,
            inputs=(),
            destination=destination_of(channel, asked.reply_to),
            # The note itself: where it was asked for is not known before it is committed.
            note=asked.text[:NOTE_LIMIT],
            reply_to=asked.reply_to,
            is_status=asked.is_status,
        )
        if not asked.text.strip():
            return ()
        if len(state.entries.open) >= MOST_OPEN:
            return unqueued(queued, "too_many")
        return queue(state.entries, moment.stream, queued)

    def _discard(self, state: RepliesState, n: int, moment: Moment) -> Sequence[Decision]:
        entry = state.entries.open.get(n)
        if entry is None:
            return ()
        if entry.is_running:
            return (CancelJob(entry_id(moment.stream, n)),)
        return end(state.entries, moment.stream, n, "discarded", is_letter=True)

    def _give_up(self, state: RepliesState, moment: Moment) -> Sequence[Decision]:
        """Nobody is at a destination any more: what else waits for it fails too."""
        left = [n for n, one in state.entries.open.items() if one.destination in state.entries.gone]
        return [
            decision
            for n in left
            if not state.entries.open[n].is_running
            for decision in end(state.entries, moment.stream, n, "gone", is_letter=True)
        ]


def _with_input(state: RepliesState, offset: int, said: InputReceived) -> RepliesState:
    if said.callback is not None:
        digest = destination_of(CALLBACK, said.callback)
        state = msgspec.structs.replace(state, callbacks={**state.callbacks, offset: digest})
    if said.reply_to is not None and said.policy != "silent":
        destination = destination_of(said.reply_to.partition(":")[0], said.reply_to)
        state = msgspec.structs.replace(state, threads={**state.threads, offset: destination})
    return state


def _destinations(state: RepliesState, offset: int) -> list[str]:
    return [told[offset] for told in (state.callbacks, state.threads) if offset in told]


def _answered(state: RepliesState, settled: TurnSettled, at: int) -> RepliesState:
    inputs = tuple(offset for offset in settled.inputs if _destinations(state, offset))
    if not inputs:
        return state
    return msgspec.structs.replace(state, answered={**state.answered, settled.turn: inputs}, since=at)


def _without_inputs(state: RepliesState, offsets: tuple[int, ...]) -> RepliesState:
    callbacks = {offset: one for offset, one in state.callbacks.items() if offset not in offsets}
    threads = {offset: one for offset, one in state.threads.items() if offset not in offsets}
    return _with_left(state, callbacks, threads)


def _without_told(state: RepliesState, queued: ReplyQueued) -> RepliesState:
    """What `queued` tells is not owed to that destination any more."""
    told = {(offset, queued.destination) for offset in queued.inputs}
    callbacks = {offset: one for offset, one in state.callbacks.items() if (offset, one) not in told}
    threads = {offset: one for offset, one in state.threads.items() if (offset, one) not in told}
    return _with_left(state, callbacks, threads)


def _with_left(state: RepliesState, callbacks: dict[int, str], threads: dict[int, str]) -> RepliesState:
    if len(callbacks) == len(state.callbacks) and len(threads) == len(state.threads):
        return state
    left = callbacks.keys() | threads.keys()
    waiting = ((turn, tuple(o for o in inputs if o in left)) for turn, inputs in state.answered.items())
    answered = {turn: inputs for turn, inputs in waiting if inputs}
    return msgspec.structs.replace(state, callbacks=callbacks, threads=threads, answered=answered)


def _queued(state: RepliesState, queued: ReplyQueued) -> RepliesState:
    entry = Open(destination=queued.destination, is_status=queued.is_status)
    entries = with_entry(state.entries, number_of(queued.job), entry)
    if queued.origin:
        entries = msgspec.structs.replace(
            entries, gone=tuple(one for one in entries.gone if one != queued.destination)
        )
    return _without_told(msgspec.structs.replace(state, entries=entries), queued)


def _gone_on(entries: Entries, event: Event) -> Entries:
    """The entries after something happened to one of them."""
    match event.type:
        case "reply.started":
            started = event.decode(JobStarted)
            n = number_of(started.job)
            if n not in entries.open:
                return entries
            running = msgspec.structs.replace(entries.open[n], attempts=started.attempt, is_running=True)
            return with_entry(entries, n, running)
        case "reply.attempt_failed":
            n = number_of(event.decode(AttemptEnded).job)
            if n not in entries.open:
                return entries
            return with_entry(entries, n, msgspec.structs.replace(entries.open[n], is_running=False))
        case _:
            settled = event.decode(ReplySettled)
            n = number_of(settled.job)
            entry = entries.open.get(n)
            if entry is not None and settled.error == "gone" and entry.destination not in entries.gone:
                gone = (*entries.gone, entry.destination)[-GONE_KEPT:]
                entries = msgspec.structs.replace(entries, gone=gone)
            return with_entry(entries, n, None)
