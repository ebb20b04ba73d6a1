"""LLM jobs run step by step against a provider that says what it is told to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from services.faults import Faults
from services.jobs.outcome import Again, Result, Settled
from services.jobs.running import Running
from services.llm.answer import ANSWER_LIMIT
from services.llm.prices import Prices
from services.llm.provider import (
    Call,
    ChatRequest,
    Finished,
    Piece,
    Provider,
    ProviderError,
    TextDelta,
    ToolCallRequest,
)
from services.llm.registry import ProviderRegistry
from services.llm.runner import LLMRunner, Persona
from services.processors.agent.processor import Agent
from services.processors.agent.rules import Rules
from services.streams.event import EventInput, JobId, StreamId
from services.streams.keys import Keys
from services.streams.vocabulary import InputReceived, StreamCreated, TurnSettled
from tests.fakes.store_stage import Stage

S = StreamId("app:answers")
MB = 1024 * 1024
EXPIRES_MS = 600_000


class Talker:
    """A provider that says `pieces`, as far as anybody listens."""

    name = "talker"
    context_tokens = 1_000

    def __init__(self, pieces: Iterable[Piece | ProviderError]) -> None:
        self._pieces = pieces
        self.said = 0

    def stream(self, request: ChatRequest, call: Call) -> Iterator[Piece]:
        call.starting()
        for piece in self._pieces:
            if isinstance(piece, ProviderError):
                raise piece
            self.said += 1
            yield piece


class OneModel(ProviderRegistry):
    """Resolves every name to one provider."""

    def __init__(self, talker: Talker) -> None:
        super().__init__(lambda: ())
        self._talker = talker

    def resolve(self, name: str) -> tuple[Provider, str]:
        """See `ProviderRegistry.resolve`."""
        return self._talker, "m"


@pytest.fixture
def stage(store_url: str, keys: Keys) -> Iterator[Stage]:
    """A stage on which the agent runs."""
    made = Stage(store_url, keys, processors=[Agent(lambda name: Rules(job_expires_ms=EXPIRES_MS))])
    yield made
    made.close()


def _run(stage: Stage, talker: Talker) -> Result:
    """Run the first job of a session, and settle it if it came to its end."""
    said = EventInput.of("input.received", InputReceived(text="talk"))
    stage.log.append(S, [said], create=EventInput.of("stream.created", StreamCreated()))
    hand = stage.hand()
    hand.advancer.advance(S)
    held, claim = hand.take_job("llm", JobId(f"{S}@1"))
    runner = LLMRunner(
        stage.log,
        hand.claims,
        Running(stage.store, hand.claims, stage.keys.cancel_channel, notices=False),
        OneModel(talker),
        lambda agent: Persona(system="", models=("talker:m",), tools=(), idle_s=5, wall_s=60),
        prices=Prices(),
        may_start=lambda: True,
        faults=Faults(None),
    )
    result = runner.run(held, claim)
    if isinstance(result, Settled):
        hand.advancer.settle(held, result.events, hand.advancer.stand(S))
    return result


def _turn(stage: Stage) -> TurnSettled:
    [settled] = [e.decode(TurnSettled) for e in stage.events(S) if e.type == "turn.settled"]
    return settled


@pytest.mark.parametrize(
    ("piece", "most"),
    [
        (TextDelta("x" * MB), 4),
        (TextDelta("\x01" * MB), 1),
        (ToolCallRequest(id="c", name="clock", arguments="x" * MB), 5),
        (TextDelta("x" * 20 * MB), 1),
    ],
    ids=["text", "text that is stored as six times its length", "tool calls", "one piece"],
)
def test_an_answer_that_is_too_large_is_stopped_and_fails_the_turn(
    stage: Stage, piece: Piece, most: int
) -> None:
    talker = Talker([piece] * 50)

    _run(stage, talker)

    turn = _turn(stage)
    assert (turn.outcome, turn.reason) == ("failed", "answer_too_large")
    assert len(turn.text) <= ANSWER_LIMIT
    assert talker.said <= most + 1
    assert stage.due_ids("llm") == {}


def test_the_last_piece_can_be_the_one_too_many(stage: Stage) -> None:
    _run(stage, Talker([TextDelta("x" * 5 * MB), Finished(reason="stop")]))

    assert (_turn(stage).reason, _turn(stage).text) == ("answer_too_large", "")


def test_a_large_answer_within_the_limit_is_stored(stage: Stage) -> None:
    _run(stage, Talker([TextDelta("x" * MB)] * 3 + [Finished(reason="stop", model="m" * MB)]))

    assert (_turn(stage).outcome, len(_turn(stage).text)) == ("answered", 3 * MB)


@pytest.mark.parametrize(
    ("after_s", "outcome"), [(60, None), (600, "failed")], ids=["in time", "after its expiry"]
)
def test_a_job_whose_vendor_asks_for_more_time_than_it_has_fails_at_once(
    stage: Stage, after_s: float, outcome: str | None
) -> None:
    result = _run(stage, Talker([ProviderError("overloaded", retry_after_s=after_s)]))

    if outcome is None:
        assert isinstance(result, Again)
        assert (result.error, result.delay_ms) == ("overloaded", 60_000)
    else:
        assert (_turn(stage).outcome, _turn(stage).reason) == (outcome, "overloaded")
