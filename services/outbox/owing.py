"""What a session owes to threads, as the processor `obligations` remembers it: addresses, offsets and times. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from services.channels.said import paused_by
from services.outbox.entries import CALLBACK, number_of
from services.streams.event import Event
from services.streams.thread_events import (
    NoteRequested,
    ObligationEnd,
    ObligationNoted,
    ObligationOpened,
    ObligationSettled,
)
from services.streams.vocabulary import (
    InputReceived,
    InputWithdrawn,
    ProcessorFaulted,
    ProcessorUnparked,
    ReplyQueued,
    ReplySettled,
    StreamPaused,
    TurnSettled,
    TurnStarted,
)

# A state has its bounds. Who comes on top is answered too, but not told that it takes longer.
MOST_WAITING = 1_000
# Characters, about; what is remembered grows by at most a half while those who wait are told.
MOST_WEIGHT = 46_000
_THREAD, _INPUT, _NUMBER = 16, 32, 9


class Waiting(msgspec.Struct, frozen=True, array_like=True):
    """One input without an answer, since `since`. `is_asked`: it is of the turn that runs.

    `noted_at` is when its thread was told that it takes longer. Epoch ms.
    """

    since: int
    is_asked: bool = False
    noted_at: int = 0


class Ended(msgspec.Struct, frozen=True, array_like=True):
    """Open obligations that came to an end, which is to be written down; `entry` is the number of the reply."""

    inputs: tuple[int, ...]
    how: ObligationEnd
    reason: str = ""
    entry: int = 0


class Owing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`waiting`: by thread, the inputs without an answer, of which the obligations of those `new` are not in the log
    yet; `replying`: by entry of the outbox, those it answers.

    `doing` is what the turn that runs waits for; `faulted` are parked processors; `paused_at` is 0 unless paused.
    `pause` is why, where threads are told of it; `untold` are the first inputs of those that still are to be.
    """

    waiting: dict[str, dict[int, Waiting]] = {}
    new: dict[str, tuple[int, ...]] = {}
    replying: dict[int, tuple[int, ...]] = {}
    ended: tuple[Ended, ...] = ()
    doing: Literal["", "llm", "retry", "tool"] = ""
    faulted: tuple[str, ...] = ()
    paused_at: int = 0
    pause: str = ""
    untold: tuple[int, ...] = ()


def reduce(state: Owing, event: Event) -> Owing:
    """The state after `event`."""
    match event.type:
        case "input.received":
            return _received(state, event)
        case "input.withdrawn":
            return _given_up(state, (event.decode(InputWithdrawn).input,), "withdrawn")
        case "turn.started":
            asked = _with(state, doing="llm")
            return _changed(asked, event.decode(TurnStarted).inputs, is_asked=True)
        case "turn.settled":
            return _turn_settled(state, event.decode(TurnSettled))
        case "llm.requested" | "llm.started":
            return _with(state, doing="llm")
        case "llm.attempt_failed":
            return _with(state, doing="retry")
        case "tool.requested":
            return _with(state, doing="tool")
        case "reply.queued":
            return _reply_queued(state, event.decode(ReplyQueued))
        case "reply.delivered" | "reply.uncertain" | "reply.failed":
            return _reply_settled(state, event)
        case "obligation.opened":
            return _with(state, new=_less(state.new, event.decode(ObligationOpened).inputs))
        case "obligation.noted":
            noted = event.decode(ObligationNoted)
            return _changed(state, noted.inputs, noted_at=event.created_at)
        case "reply.note_requested":
            return _told(state, event.decode(NoteRequested).reply_to)
        case "obligation.settled":
            return _settled(state, event.decode(ObligationSettled))
        case _:
            return _governed(state, event)


def _received(state: Owing, event: Event) -> Owing:
    said = event.decode(InputReceived)
    if said.reply_to is None or said.policy == "silent":
        return state
    thread = said.reply_to
    if sum(map(len, state.waiting.values())) >= MOST_WAITING or _weight(state, thread) > MOST_WEIGHT:
        return state
    waiting = {**state.waiting.get(thread, {}), event.offset: Waiting(event.created_at)}
    new = (*state.new.get(thread, ()), event.offset)
    return _with(state, waiting={**state.waiting, thread: waiting}, new={**state.new, thread: new})


def _turn_settled(state: Owing, settled: TurnSettled) -> Owing:
    if settled.outcome == "cancelled" and not settled.started_at:
        # It never began: the turn that runs goes on.
        return _given_up(state, settled.inputs, "cancelled")
    # A superseded turn lists none of its inputs: they are asked anew.
    asked = [n for waiting in state.waiting.values() for n, one in waiting.items() if one.is_asked]
    state = _with(_changed(state, asked, is_asked=False), doing="")
    return _given_up(state, settled.inputs, "cancelled") if settled.outcome == "cancelled" else state


def _reply_queued(state: Owing, queued: ReplyQueued) -> Owing:
    if queued.channel == CALLBACK or not queued.inputs:
        return state
    inputs = _open(state, queued.inputs)
    state = _without(state, queued.inputs)
    return _with(state, replying={**state.replying, number_of(queued.job): inputs}) if inputs else state


def _reply_settled(state: Owing, event: Event) -> Owing:
    settled = event.decode(ReplySettled)
    n = number_of(settled.job)
    inputs = state.replying.get(n)
    if inputs is None:
        return state
    how: ObligationEnd = "failed"
    if event.type != "reply.failed":
        how = "replied" if event.type == "reply.delivered" else "uncertain"
    ended = Ended(inputs, how, settled.error, n)
    left = {entry: one for entry, one in state.replying.items() if entry != n}
    return _with(state, replying=left, ended=(*state.ended, ended))


def _given_up(state: Owing, inputs: tuple[int, ...], reason: str) -> Owing:
    ended = _open(state, inputs)
    state = _without(state, inputs)
    return _with(state, ended=(*state.ended, Ended(ended, "ignored", reason))) if ended else state


def _settled(state: Owing, settled: ObligationSettled) -> Owing:
    state = _without(state, settled.inputs)
    return _with(state, ended=tuple(one for one in state.ended if one.inputs != settled.inputs))


def _governed(state: Owing, event: Event) -> Owing:
    """What people, limits and faults do to the whole session."""
    match event.type:
        case "stream.paused":
            return state if state.paused_at else _paused(state, event)
        case "stream.resumed":
            return _resumed(state, event.created_at)
        case "processor.faulted":
            name = event.decode(ProcessorFaulted).name
            return _with(state, faulted=(*(one for one in state.faulted if one != name), name))
        case "processor.resumed" | "processor.skipped":
            name = event.decode(ProcessorUnparked).name
            return _with(state, faulted=tuple(one for one in state.faulted if one != name))
        case _:
            return state


def _paused(state: Owing, event: Event) -> Owing:
    """Threads are told of a pause that no person decided on."""
    reason = event.decode(StreamPaused).reason
    state = _with(state, paused_at=event.created_at)
    if not paused_by(reason, ""):
        return state
    return _with(state, pause=reason, untold=tuple(min(waiting) for waiting in state.waiting.values()))


def _told(state: Owing, thread: str) -> Owing:
    if not state.untold:
        return state
    told = state.waiting.get(thread, {})
    return _with(state, untold=tuple(n for n in state.untold if n not in told))


def _resumed(state: Owing, now: int) -> Owing:
    """Nobody was kept waiting while the session was paused: all times move on by that long, or by as much of it as
    came after them.
    """

    def later(at: int) -> int:
        return at + max(0, now - max(at, state.paused_at)) if at and state.paused_at else at

    waiting = {
        thread: {
            n: msgspec.structs.replace(one, since=later(one.since), noted_at=later(one.noted_at))
            for n, one in inputs.items()
        }
        for thread, inputs in state.waiting.items()
    }
    return _with(state, waiting=waiting, paused_at=0, pause="", untold=())


def _weight(state: Owing, thread: str) -> int:
    """About how many characters the state has with one more input of `thread`."""
    known = sum(len(each) + _THREAD + _INPUT * len(inputs) for each, inputs in state.waiting.items())
    known += sum(len(each) + _NUMBER * len(inputs) for each, inputs in state.new.items())
    known += sum(_NUMBER * (2 + len(inputs)) for inputs in state.replying.values())
    known += sum(3 * _NUMBER + _NUMBER * len(one.inputs) for one in state.ended)
    return known + 2 * len(thread) + _THREAD + _INPUT


def _open(state: Owing, inputs: Iterable[int]) -> tuple[int, ...]:
    """Those of `inputs` that wait under an obligation that is in the log."""
    new = {n for several in state.new.values() for n in several}
    return tuple(
        n for n in inputs if n not in new and any(n in waiting for waiting in state.waiting.values())
    )


def _less(new: dict[str, tuple[int, ...]], inputs: Sequence[int]) -> dict[str, tuple[int, ...]]:
    gone = set(inputs)
    left = ((thread, tuple(n for n in several if n not in gone)) for thread, several in new.items())
    return {thread: several for thread, several in left if several}


def _without(state: Owing, inputs: Sequence[int]) -> Owing:
    if state.untold:
        state = _with(state, untold=_untold_without(state, set(inputs)))
    left: dict[str, dict[int, Waiting]] = {}
    for thread, waiting in state.waiting.items():
        gone = [n for n in inputs if n in waiting]
        kept = dict(waiting) if gone else waiting
        for n in gone:
            del kept[n]
        if kept:
            left[thread] = kept
    return _with(state, waiting=left, new=_less(state.new, inputs))


def _untold_without(state: Owing, inputs: set[int]) -> tuple[int, ...]:
    """Who is still to be told once `inputs` wait no more: the next input of the same thread stands for it."""
    left = {min(each): set(each) - inputs for each in state.waiting.values()}
    return tuple(min(left[n]) for n in state.untold if left.get(n))


def _changed(state: Owing, inputs: Sequence[int], **changes: object) -> Owing:
    changed = dict(state.waiting)
    for thread, waiting in state.waiting.items():
        if found := [n for n in inputs if n in waiting]:
            new = {n: msgspec.structs.replace(waiting[n], **changes) for n in found}
            changed[thread] = {**waiting, **new}
    return _with(state, waiting=changed)


def _with(state: Owing, **changes: object) -> Owing:
    return msgspec.structs.replace(state, **changes)
