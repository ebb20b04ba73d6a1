"""Attempts at a request go from model to model; what they cost is counted, and the run's record tells of each."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from services.config.schema import PriceConfig
from services.jobs.recovery import backoff_ms
from services.llm.history import CHARS_PER_TOKEN
from services.llm.provider import Finished, ProviderError, TextDelta, TokenUsage
from services.processors.agent.processor import CANCEL_WAIT_MS, Agent
from services.processors.agent.rules import Rules
from services.streams.event import EventInput, JobId
from services.streams.keys import Keys
from services.streams.vocabulary import CancelRequested, HistoryWindowed, LLMSettled, StreamPaused, Usage
from tests.fakes.llm_jobs import Interrupted, LLMSession, S, Said, Silent, Speaker
from tests.fakes.store_stage import Stage

BUSY: Said = [ProviderError("overloaded", code="http_529")]
CUT: Said = [TokenUsage(input=10, output=2), TextDelta("half"), ProviderError("truncated", code="no_end")]
DEAR = {"a:1": PriceConfig(input=1, output=2), "b:1": PriceConfig(input=10, output=20)}
FIRST, SECOND = backoff_ms(1, f"{S}@1"), backoff_ms(2, f"{S}@1")
EXPIRES_MS = 600_000


def stage_with(store_url: str, keys: Keys, rules: Rules) -> Stage:
    return Stage(store_url, keys, processors=[Agent(lambda name: rules)])


@pytest.fixture
def stage(store_url: str, keys: Keys) -> Iterator[Stage]:
    made = stage_with(store_url, keys, Rules(job_expires_ms=EXPIRES_MS))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("said", "phase", "code", "begins"),
    [
        ([ProviderError("ambiguous", code="idle_timeout")], "waiting", "idle_timeout", False),
        ([TokenUsage(input=3), ProviderError("ambiguous", code="x y/z")], "waiting", "x_y_z", False),
        (CUT, "streaming", "no_end", True),
    ],
)
def test_a_failed_attempt_says_how_far_it_came(
    stage: Stage, said: Said, phase: str, code: str, begins: bool
) -> None:
    session = LLMSession(stage, {"a:1": Speaker([said])})
    session.say()
    session.until_settled()

    failed, answered = session.record().attempts
    assert (failed.phase, failed.code, failed.first_ms is not None) == (phase, code, begins)
    assert answered.phase == "streaming"


def test_a_vendor_that_is_silent_for_too_long_is_left_for_the_next_one(stage: Stage) -> None:
    session = LLMSession(stage, {"a:1": Silent([]), "b:1": Speaker([])}, wall_s=0.2)
    session.say()
    session.until_settled()

    failed, answered = session.record().attempts
    assert (failed.model, failed.error, failed.code) == ("a:1", "ambiguous", "wall_timeout")
    assert (failed.phase, failed.spent_ms >= 200) == ("waiting", True)
    assert (answered.model, answered.outcome) == ("b:1", "succeeded")


def test_when_the_first_model_is_overloaded_the_second_answers_at_once(stage: Stage) -> None:
    session = LLMSession(stage, {"a:1": Speaker([BUSY]), "b:1": Speaker([])})
    session.say()

    assert session.until_settled() == [0]
    assert session.asked() == {"a:1": 1, "b:1": 1}
    assert [(turn.outcome, turn.text) for turn in session.turns()] == [("answered", "hello")]
    first, second = session.record().attempts
    assert (first.model, first.outcome, first.error, first.code) == (
        "a:1",
        "failed",
        "overloaded",
        "http_529",
    )
    assert (first.phase, first.first_ms) == ("waiting", None)
    assert (second.model, second.outcome, second.phase) == ("b:1", "succeeded", "streaming")
    assert session.record().answered_by == "m-1"


def test_a_job_fails_once_every_model_is_used_up_and_none_is_asked_more_than_three_times(
    stage: Stage,
) -> None:
    session = LLMSession(stage, {"a:1": Speaker([BUSY] * 9), "b:1": Speaker([BUSY] * 9)})
    session.say()

    assert session.until_settled() == [0, FIRST, 0, SECOND, 0]
    assert session.asked() == {"a:1": 3, "b:1": 3}
    assert [(turn.outcome, turn.reason) for turn in session.turns()] == [("failed", "overloaded")]
    assert session.record().phases.backing_off == FIRST + SECOND


def test_a_vendors_wish_is_kept_to_the_millisecond_while_the_other_models_are_asked(stage: Stage) -> None:
    wishing: Said = [ProviderError("overloaded", retry_after_s=30)]
    session = LLMSession(stage, {"a:1": Speaker([wishing]), "b:1": Speaker([BUSY] * 9)})
    session.say()

    waits = session.until_settled()

    failed, answered = session.record().attempts[0], session.record().attempts[-1]
    assert waits[:3] == [0, FIRST, SECOND]
    assert (failed.model, answered.model) == ("a:1", "a:1")
    assert failed.ended_at is not None
    assert 0 <= answered.started_at - failed.ended_at - 30_000 < 2_000
    assert session.asked() == {"a:1": 2, "b:1": 3}


def test_a_job_that_would_not_live_to_see_the_retry_fails_at_once(stage: Stage) -> None:
    wishing: Said = [ProviderError("overloaded", retry_after_s=EXPIRES_MS / 1000)]
    session = LLMSession(stage, {"a:1": Speaker([wishing])})
    session.say()

    assert session.until_settled() == []
    assert session.turns()[0].reason == "overloaded"


def test_a_model_that_can_not_be_had_is_passed_over_and_told_of(stage: Stage) -> None:
    session = LLMSession(stage, {"b:1": Speaker([])}, missing=["a:gone"])
    session.say()

    assert session.until_settled() == [0]
    first, second = session.record().attempts
    assert (first.model, first.error, first.phase) == ("a:gone", "no_such_model", "unsent")
    assert (second.model, second.outcome) == ("b:1", "succeeded")


def test_without_any_model_that_can_be_had_the_turn_fails(stage: Stage) -> None:
    session = LLMSession(stage, {}, missing=["a:gone"])
    session.say()

    assert session.until_settled() == []
    assert session.turns()[0].reason == "no_such_model"


@pytest.mark.parametrize("kind", ["rejected", "quota"])
def test_what_is_useless_to_repeat_is_not_repeated(stage: Stage, kind: str) -> None:
    refusal: Said = [ProviderError("rejected" if kind == "rejected" else "quota")]
    session = LLMSession(stage, {"a:1": Speaker([refusal] * 9), "b:1": Speaker([BUSY, BUSY])})
    session.say()

    assert session.until_settled() == [0, FIRST, SECOND]
    assert session.asked() == {"a:1": 1, "b:1": 3}


def test_a_history_the_model_calls_too_long_is_halved_once(stage: Stage) -> None:
    too_long: Said = [ProviderError("context_too_long")]
    model = Speaker([], context_tokens=100_000)
    session = LLMSession(stage, {"a:1": model})
    for n in range(1, 9):
        session.say("x" * 100 * CHARS_PER_TOKEN)
        session.until_settled(n)
    model.answers.extend([too_long])
    session.say("now")

    assert session.until_settled(9) == [0]
    whole, half = (len(asked.messages) for asked in model.asked[-2:])
    assert whole == 17
    assert 3 < half < 11
    assert [each.halved for each in session.record(9).attempts] == [False, True]
    assert [event.decode(HistoryWindowed).job for event in session.of("history.windowed")] == [f"{S}@9"]


def test_a_turn_that_alone_is_too_long_is_not_sent_twice(stage: Stage) -> None:
    model = Speaker([[ProviderError("context_too_long")]] * 9)
    session = LLMSession(stage, {"a:1": model})
    session.say()

    assert session.until_settled() == [0]
    assert len(model.asked) == 1
    assert session.turns()[0].reason == "context_too_long"
    assert session.record().attempts[1].code == "nothing_to_cut"


def test_every_attempt_is_paid_for_at_its_own_models_price(stage: Stage) -> None:
    answer: Said = [TextDelta("ok"), TokenUsage(input=10, output=5, cached=4), Finished(reason="stop")]
    session = LLMSession(stage, {"a:1": Speaker([CUT]), "b:1": Speaker([answer])}, prices=DEAR)
    session.say()
    session.until_settled()

    first, second = session.record().attempts
    assert first.usage == Usage(input=10, output=2, cost_microusd=14)
    assert second.usage == Usage(input=10, output=5, cached=4, cost_microusd=200)
    whole = Usage(input=20, output=7, cached=4, cost_microusd=214)
    assert session.record().usage == session.turns()[0].usage == whole


def test_a_failed_attempt_counts_towards_the_cap_and_the_next_request_waits_for_a_person(
    store_url: str, keys: Keys
) -> None:
    stage = stage_with(store_url, keys, Rules(max_tokens_per_hour=12))
    session = LLMSession(stage, {"a:1": Speaker([CUT])})
    session.say()
    session.until_settled()
    session.say()

    [notice] = [event.decode(StreamPaused) for event in session.of("stream.paused")]
    assert (notice.reason, notice.by) == ("spend", "agent")
    assert session.hand.claims.claim("llm", JobId(f"{S}@2")) is None
    assert stage.due_ids("llm") == {}
    assert session.asked() == {"a:1": 2}
    stage.close()


def test_a_run_that_was_taken_away_settles_nothing_and_what_it_had_cost_is_noted(stage: Stage) -> None:
    model = Interrupted([[TokenUsage(input=7), TextDelta("half"), TextDelta("more")]])
    session = LLMSession(stage, {"a:1": model}, prices=DEAR)
    session.say()

    def give_up() -> None:
        stage.log.append(S, [EventInput.of("turn.cancel_requested", CancelRequested())])
        session.hand.advancer.advance(S)
        stage.pass_time(CANCEL_WAIT_MS)
        session.hand.advancer.advance(S)
        session.running.cancel_all("taken")

    model.meanwhile = give_up
    session.attempt()

    run = session.record()
    [late] = run.late
    assert (late.outcome, late.error, late.usage) == ("cancelled", "taken", Usage(input=7, cost_microusd=7))
    assert (run.state, run.error, run.usage) == ("cancelled", "holder_silent", late.usage)
    assert len(session.of("llm.settled")) == 1


def test_what_comes_too_late_is_in_the_record_and_its_cost_with_it(stage: Stage) -> None:
    session = LLMSession(stage, {"a:1": Speaker([])})
    session.say()
    held, _ = session.take()
    stage.log.append(S, [EventInput.of("turn.cancel_requested", CancelRequested())])
    session.hand.advancer.advance(S)
    stage.pass_time(CANCEL_WAIT_MS)
    session.hand.advancer.advance(S)
    before = stage.types(S)

    usage = Usage(input=7, output=3, cost_microusd=5)
    answer = LLMSettled(job=held.id, outcome="succeeded", text="secret", asked="a:1", usage=usage)
    assert session.hand.advancer.settle(held, [EventInput.of("llm.settled", answer)], None) is None

    run = session.record()
    [late] = run.late
    assert (late.job, late.attempt, late.outcome, late.model) == (held.id, 1, "succeeded", "a:1")
    assert (run.state, run.error, run.usage) == ("cancelled", "holder_silent", usage)
    assert stage.types(S) == before
    assert b"secret" not in msgspec.json.encode(run)
