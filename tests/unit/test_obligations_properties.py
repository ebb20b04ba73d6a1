"""What holds of obligations whatever happens: each is opened once, settled once, told of twice at most."""

from __future__ import annotations

import itertools
from collections import Counter

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.outbox.owing import Owing, reduce
from services.processors.contract import STATE_LIMIT
from services.streams.event import Event, EventInput
from services.streams.payload import Payload, Policy
from services.streams.thread_events import ObligationNoted, ObligationOpened
from services.streams.vocabulary import InputReceived, StreamPaused, StreamResumed, TurnSettled
from tests.fakes.pure_thread import GIVES_UP, MINUTE, OVERDUE, A, B, Thread

POLICIES: tuple[Policy, ...] = ("follow_up", "steer", "collect", "silent")
THREADS = (A, A, B, None)
ENDS = (("delivered", ""), ("failed", "poisoned"), ("uncertain", "ambiguous"))
PASSES = (100, MINUTE, OVERDUE, GIVES_UP)
Step = tuple[str, int, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["say", "say", "start", "finish", "finish", "fail", "advance", "advance", "advance", "between",
             "withdraw", "cancel", "pass", "pass", "gate"]
        ),
        st.integers(0, 7),
        st.integers(0, 7),
    ),
    min_size=10,
    max_size=50,
)  # fmt: skip
many = settings(
    max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@many
@given(steps)
def test_every_obligation_is_opened_once_settled_once_and_told_of_once(script: list[Step]) -> None:
    thread = Thread()
    for step in script:
        happen(thread, step)
    drain(thread)

    opened = Counter(n for inputs in thread.opened() for n in inputs)
    settled = Counter(n for inputs, _, _ in thread.settled() for n in inputs)
    noted = Counter(
        n for e in thread.events if e.type == "obligation.noted" for n in e.decode(ObligationNoted).inputs
    )
    assert settled == opened == Counter(set(opened))
    assert max(noted.values(), default=0) <= 1
    assert (thread.owing.waiting, thread.owing.replying, thread.owing.ended) == ({}, {}, ())


@many
@given(steps)
def test_who_asks_in_a_thread_and_is_not_stopped_at_once_is_owed_an_answer(script: list[Step]) -> None:
    thread = Thread()
    for step in script:
        happen(thread, step)
    drain(thread)

    opened = {n for inputs in thread.opened() for n in inputs}
    asked = {e.offset: e.decode(InputReceived) for e in thread.events if e.type == "input.received"}
    owed = {n for n, said in asked.items() if said.reply_to and said.policy != "silent"}
    taken_back = {n for e in thread.events if e.type == "input.withdrawn" for n in _numbers(e.payload)}
    assert opened <= owed
    ends = [e.decode(TurnSettled) for e in thread.events if e.type == "turn.settled"]
    stopped = {n for settled in ends if settled.outcome == "cancelled" for n in settled.inputs}
    assert owed - opened <= taken_back | stopped


@many
@given(steps)
def test_folding_the_log_anew_gives_the_same_state(script: list[Step]) -> None:
    thread = Thread()
    for step in script:
        happen(thread, step)
    drain(thread)

    state = Owing()
    for event in thread.events:
        state = reduce(state, event)
    assert state == thread.owing


def test_as_many_as_are_waited_with_fit_the_state() -> None:
    thread = Thread()
    for _ in range(1_100):
        thread.say("follow_up", reply_to=A)
    thread.advance()
    thread.wait(OVERDUE)

    assert len(msgspec.json.encode(thread.owing)) <= STATE_LIMIT


@pytest.mark.parametrize("length", [20, 100, 400])
def test_as_many_threads_as_are_waited_with_fit_the_state_when_all_are_told(length: int) -> None:
    numbers = itertools.count(1_000_000)

    def happens(state: Owing, type: str, payload: Payload) -> Owing:
        body = msgspec.Raw(msgspec.json.encode(payload))
        event = Event(offset=next(numbers), created_at=1_764_000_000_000, type=type, v=1, payload=body)
        state = reduce(state, event)
        assert len(msgspec.json.encode(state)) <= STATE_LIMIT
        return state

    state, threads = Owing(), [f"github:1:{n}?".ljust(length, "x") for n in range(1_500)]
    for thread in threads:
        state = happens(state, "input.received", InputReceived(text="hi", reply_to=thread))
    for thread, inputs in list(state.new.items()):
        state = happens(
            state, "obligation.opened", ObligationOpened(inputs=inputs, reply_to=thread, due_at=1)
        )
    for thread in threads:
        state = happens(state, "input.received", InputReceived(text="hi", reply_to=thread))
    for thread, waiting in list(state.waiting.items()):
        noted = ObligationNoted(inputs=tuple(waiting), reply_to=thread, due_at=1)
        state = happens(state, "obligation.noted", noted)
    state = happens(state, "stream.paused", StreamPaused(reason="spend"))

    assert len(state.waiting) >= 50


def happen(thread: Thread, step: Step) -> None:
    """One step of a script; it may mean nothing in the session's state."""
    what, a, b = step
    open_jobs = [id for id, row in thread.jobs.items() if not row.is_settled]
    match what:
        case "say":
            thread.say(POLICIES[a % 4], reply_to=THREADS[b % 4])
        case "start" if open_jobs:
            thread.start(open_jobs[a % len(open_jobs)])
        case "finish" if open_jobs:
            end(thread, open_jobs[a % len(open_jobs)], b)
        case "fail" if open_jobs and thread.jobs[open_jobs[a % len(open_jobs)]].kind != "deliver":
            thread.fail_attempt(open_jobs[a % len(open_jobs)])
        case "advance":
            thread.advance(claims=bool(b % 2))
        case "between":
            said = InputReceived(text="between", policy=POLICIES[a % 4], reply_to=THREADS[b % 4])
            thread.advance(between=EventInput.of("input.received", said))
        case "withdraw":
            thread.withdraw(a)
        case "cancel":
            thread.cancel(queued=bool(b % 2))
        case "pass":
            thread.now_ms += PASSES[a % 4]
        case "gate":
            gate(thread, is_pause=bool(b % 2))
        case _:
            pass


def end(thread: Thread, job: str, how: int) -> None:
    """A job has its outcome, if it can have one."""
    if thread.jobs[job].kind == "deliver":
        thread.end_reply(job, *ENDS[how % 3])
    else:
        outcome = "failed" if how == 6 else "cancelled" if how == 7 else "succeeded"
        thread.finish(job, calls=how % 3, outcome=outcome)


def gate(thread: Thread, *, is_pause: bool) -> None:
    """Somebody pauses or resumes the session."""
    if is_pause:
        thread.append(EventInput.of("stream.paused", StreamPaused(reason="spend")))
    else:
        thread.append(EventInput.of("stream.resumed", StreamResumed()))


def drain(thread: Thread) -> None:
    """Let everything come to its end."""
    gate(thread, is_pause=False)
    for _ in range(400):
        thread.advance()
        open_jobs = [id for id, row in thread.jobs.items() if not row.is_settled]
        for job in open_jobs:
            thread.start(job)
            end(thread, job, 0)
        thread.now_ms += 10_000
        is_idle = thread.state.turn is None and not thread.state.pending
        if is_idle and not open_jobs and thread.at == len(thread.events):
            return
    raise AssertionError(f"it does not end: {thread.state}")


def _numbers(payload: msgspec.Raw) -> list[int]:
    taken: dict[str, int] = msgspec.json.decode(payload, type=dict[str, int])
    return [taken["input"]]
