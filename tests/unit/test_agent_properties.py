"""What holds of every session whatever happens to it: each input answered once, histories sendable."""

from __future__ import annotations

from collections import Counter

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.llm.provider import ChatMessage
from services.processors.agent.rules import Rules
from services.processors.agent.state import AgentState, offsets
from services.processors.contract import STATE_LIMIT
from services.streams.event import EventInput
from services.streams.payload import Policy
from services.streams.vocabulary import InputReceived, InputWithdrawn, TurnSettled, TurnStarted
from tests.fakes.pure_session import PureSession

POLICIES: tuple[Policy, ...] = ("follow_up", "steer", "collect", "silent")
Step = tuple[str, int, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["say", "say", "start", "start", "finish", "finish", "fail", "advance", "advance", "advance",
             "between", "withdraw", "cancel", "pass"]
        ),
        st.integers(0, 7),
        st.integers(0, 7),
    ),
    min_size=15,
    max_size=50,
)  # fmt: skip
rules = st.builds(
    Rules,
    debounce_ms=st.sampled_from([0, 0, 500]),
    max_steps=st.sampled_from([2, 20]),
    max_turns_without_human=st.just(20),
)
many = settings(
    max_examples=300, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@many
@given(rules, steps)
def test_every_input_that_starts_a_turn_is_answered_in_exactly_one(limits: Rules, script: list[Step]) -> None:
    session = PureSession(limits)
    for step in script:
        happen(session, step)
        assert not lost(session)
    drain(session)

    wanted = starting(session)
    assert answered(session) == Counter(dict.fromkeys(wanted, 1))
    assert (session.state.turn, session.state.pending) == (None, ())


@many
@given(rules, steps)
def test_every_turn_that_starts_is_settled_once_and_never_two_run_at_once(
    limits: Rules, script: list[Step]
) -> None:
    session = PureSession(limits)
    for step in script:
        happen(session, step)
    drain(session)

    running = 0
    for event in session.events:
        if event.type == "turn.started":
            assert running == 0
            running = event.decode(TurnStarted).turn
        elif event.type == "turn.settled" and event.decode(TurnSettled).turn == running:
            running = 0
    assert running == 0
    assert all(row.is_settled for row in session.jobs.values())


@many
@given(rules, steps)
def test_every_history_is_sendable(limits: Rules, script: list[Step]) -> None:
    session = PureSession(limits)
    for step in script:
        happen(session, step)
    drain(session)

    for history in session.histories():
        assert history.is_empty or is_sendable(history.messages)


@many
@given(rules, steps)
def test_folding_the_log_anew_gives_the_same_state_and_decides_nothing(
    limits: Rules, script: list[Step]
) -> None:
    session = PureSession(limits)
    for step in script:
        happen(session, step)
    drain(session)

    assert session.folded() == session.state
    for at, now_ms, fields in session.boundaries:
        again = session.refold(at, now_ms, fields)
        assert again.after["s:agent"] == fields["s:agent"]
        assert (again.events, again.jobs, again.settles, again.cancels) == ([], [], [], [])


def test_a_thousand_pending_inputs_fit_the_state() -> None:
    session = PureSession(Rules())
    session.say("follow_up")
    session.advance()
    for n in range(1000):
        session.say("collect" if n % 2 else "follow_up")
    session.advance()

    assert session.state.waiting == 1000
    assert len(msgspec.json.encode(session.state)) <= STATE_LIMIT


def test_a_turn_that_collects_a_thousand_inputs_fits_the_state() -> None:
    session = PureSession(Rules())
    session.say("follow_up")
    session.advance(claims=True)
    for _ in range(1000):
        session.say("collect")
    session.finish("s@1")
    session.advance()

    assert session.state.turn is not None
    assert len(session.state.turn.inputs) == 1000
    assert len(msgspec.json.encode(session.state)) <= STATE_LIMIT


def happen(session: PureSession, step: Step) -> None:
    """One step of a script; it may mean nothing in the session's state."""
    what, a, b = step
    open_jobs = [id for id, row in session.jobs.items() if not row.is_settled]
    match what:
        case "say":
            session.say(POLICIES[a % 4], debounce_ms=300 if b == 7 else None)
        case "start" if open_jobs:
            session.start(open_jobs[a % len(open_jobs)])
        case "finish" if open_jobs:
            outcome = "failed" if b == 6 else "cancelled" if b == 7 else "succeeded"
            session.finish(open_jobs[a % len(open_jobs)], calls=b % 3, outcome=outcome)
        case "fail" if open_jobs:
            session.fail_attempt(open_jobs[a % len(open_jobs)])
        case "advance":
            session.advance(claims=bool(b % 2))
        case "between":
            said = InputReceived(text="between", policy=POLICIES[a % 4])
            session.advance(claims=bool(b % 2), between=EventInput.of("input.received", said))
        case "withdraw":
            session.withdraw(a)
        case "cancel":
            session.cancel(queued=bool(b % 2))
        case "pass":
            session.now_ms += (100, 400, 2_500, 60_000)[a % 4]
        case _:
            pass


def drain(session: PureSession) -> None:
    """Let everything come to its end: workers work, time passes."""
    for _ in range(400):
        session.advance()
        open_jobs = [id for id, row in session.jobs.items() if not row.is_settled]
        for job in open_jobs:
            session.start(job)
            session.finish(job)
        session.now_ms += 10_000
        is_idle = session.state.turn is None and not session.state.pending
        if is_idle and not open_jobs and session.at == len(session.events):
            return
    raise AssertionError(f"it does not end: {session.state}")


def starting(session: PureSession) -> set[int]:
    """Inputs that call for an answer: not silent, not withdrawn."""
    taken_back = {
        event.decode(InputWithdrawn).input for event in session.events if event.type == "input.withdrawn"
    }
    return {
        event.offset
        for event in session.events
        if event.type == "input.received"
        and event.decode(InputReceived).policy != "silent"
        and event.offset not in taken_back
    }


def answered(session: PureSession) -> Counter[int]:
    """How often each input is listed by a settled turn."""
    return Counter(
        offset
        for event in session.events
        if event.type == "turn.settled"
        for offset in event.decode(TurnSettled).inputs
    )


def lost(session: PureSession) -> set[int]:
    """Inputs that are neither answered, nor waiting, nor in a turn, nor unread."""
    state: AgentState = session.state
    kept = set(offsets(state.pending)) | set(state.turn.inputs if state.turn else ())
    done = {offset for offset, n in answered(session).items() if n == 1}
    return {o for o in starting(session) if o <= session.at} - kept - done


def is_sendable(messages: tuple[ChatMessage, ...]) -> bool:
    """Whether every tool call has exactly one result right behind it, and no result is without its call."""
    open_calls: list[str] = []
    for message in messages:
        if message.role == "tool":
            if message.call_id not in open_calls:
                return False
            open_calls.remove(message.call_id)
            continue
        if open_calls:
            return False
        open_calls = [call.id for call in message.tool_calls]
        if not message.text and not message.tool_calls:
            return False
    return not open_calls and messages[0].role == "user"
