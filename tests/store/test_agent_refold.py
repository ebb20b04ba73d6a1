"""The agent over streams made by real commits: folding a stream anew changes nothing and decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import pytest

from services.processors.agent.processor import Agent
from services.processors.agent.rules import Rules
from services.processors.agent.state import AgentState, reduce
from services.processors.plan import NewerVersion
from services.processors.rows import rows_of
from services.streams.event import EventInput, JobId, StreamId
from services.streams.keys import Keys
from services.streams.payload import Policy
from services.streams.vocabulary import CancelRequested, InputReceived, LLMSettled, ToolCall, ToolSettled
from tests.fakes.puppet import CREATED
from tests.fakes.pure_session import NewerAgent
from tests.fakes.store_stage import Hand, Stage

S = StreamId("s")
POLICIES: tuple[Policy, ...] = ("follow_up", "collect", "silent", "follow_up")
UNRELATED = EventInput(type="unrelated", payload=msgspec.Raw(b"{}"))


@pytest.fixture
def session(store_url: str, keys: Keys) -> Iterator[Stage]:
    """A stage on which the agent runs."""
    made = Stage(store_url, keys, processors=[Agent(lambda name: Rules())])
    yield made
    made.close()


def _say(session: Stage, policy: Policy = "follow_up") -> None:
    said = InputReceived(text="hello", policy=policy)
    session.log.append(S, [EventInput.of("input.received", said)], create=CREATED)


def _settle_llm(hand: Hand, n: int, *calls: ToolCall) -> None:
    held, _ = hand.take_job("llm", JobId(f"s@{n}"))
    settled = LLMSettled(job=held.id, outcome="succeeded", text="x", tool_calls=calls)
    hand.advancer.settle(held, [EventInput.of("llm.settled", settled)], hand.advancer.stand(S))


def _answered(session: Stage, hand: Hand) -> None:
    _say(session)
    hand.advancer.advance(S)
    _settle_llm(hand, 1)


def _with_tools(session: Stage, hand: Hand) -> None:
    _say(session)
    hand.advancer.advance(S)
    _settle_llm(hand, 1, ToolCall(id="a", name="clock"), ToolCall(id="b", name="clock"))
    for n in (0, 1):
        held, _ = hand.take_job("tool", JobId(f"s@1.{n}"))
        done = ToolSettled(job=held.id, outcome="succeeded", result="r")
        hand.advancer.settle(held, [EventInput.of("tool.settled", done)], hand.advancer.stand(S))
    _settle_llm(hand, 2)


def _steered_while_running(session: Stage, hand: Hand) -> None:
    _say(session)
    hand.advancer.advance(S)
    hand.take_job("llm", JobId("s@1"))
    _say(session, "steer")
    hand.advancer.advance(S)
    session.pass_time(2_001)
    hand.advancer.advance(S)
    _settle_llm(hand, 2)


def _cancelled_among_waiting_inputs(session: Stage, hand: Hand) -> None:
    for policy in POLICIES:
        _say(session, policy)
    hand.advancer.advance(S)
    session.log.append(S, [EventInput.of("turn.cancel_requested", CancelRequested(queued=True))])
    hand.advancer.advance(S)


def _with_an_open_turn(session: Stage, hand: Hand) -> None:
    _say(session)
    with session.between("commit", lambda: _say(session)):
        hand.advancer.advance(S)
    hand.advancer.advance(S)


RUNS = [_answered, _with_tools, _steered_while_running, _cancelled_among_waiting_inputs, _with_an_open_turn]


@pytest.mark.parametrize("run", RUNS)
def test_a_newer_version_comes_to_the_same_state_and_decides_nothing(
    session: Stage, run: Callable[[Stage, Hand], None]
) -> None:
    hand = session.hand()
    run(session, hand)
    before, head = session.log.load(S).fields["s:agent"], session.log.head(S)
    due = session.due.sizes()

    session.log.append(S, [UNRELATED])
    newer = Stage(session.url, session.keys, processors=[NewerAgent(lambda name: Rules())])
    newer.hand("newer").advancer.advance(S)

    after = session.log.load(S)
    assert after.fields["s:agent"] == before
    assert (after.head, after.at) == (head + 1, head + 1)
    assert rows_of(dict(after.fields))["agent"].version == 2
    assert session.due.sizes() == due
    newer.close()


@pytest.mark.parametrize("run", RUNS)
def test_folding_every_event_in_one_go_gives_the_state_that_many_commits_gave(
    session: Stage, run: Callable[[Stage, Hand], None]
) -> None:
    run(session, session.hand())

    state = AgentState()
    for event in session.events(S):
        state = reduce(state, event)

    assert state == msgspec.json.decode(session.log.load(S).fields["s:agent"], type=AgentState)


def test_an_older_version_leaves_a_stream_to_newer_workers(session: Stage) -> None:
    _say(session)
    newer = Stage(session.url, session.keys, processors=[NewerAgent(lambda name: Rules())])
    newer.hand("newer").advancer.advance(S)
    _say(session)
    head = session.log.head(S)

    with pytest.raises(NewerVersion):
        session.hand().advancer.advance(S)

    assert session.log.head(S) == head
    assert S in session.due_ids("advance")
    newer.close()
