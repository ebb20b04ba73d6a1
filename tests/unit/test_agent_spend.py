"""The hour's use of a session, its caps, and the one notice when one is reached."""

from __future__ import annotations

import msgspec
import pytest

from services.processors.agent.processor import Agent
from services.processors.agent.rules import Rules
from services.processors.agent.spend import BUCKET_MS, BUCKETS, Bucket, Caps, Spent, spent, with_usage
from services.streams.event import EventInput
from services.streams.vocabulary import AttemptEnded, LLMSettled, StreamPaused, StreamResumed, ToolCall, Usage
from tests.fakes.pure_session import PureSession

MINUTE = 60_000
HOUR = 60 * MINUTE
START = 1_800_000_000_000


def test_what_was_used_counts_for_an_hour_and_at_most_five_minutes_more() -> None:
    buckets = with_usage((), Usage(input=3, output=4, cost_microusd=9), START)

    assert spent(buckets, START + HOUR) == Spent(7, 9)
    assert spent(buckets, START + HOUR + 5 * MINUTE) == Spent(0, 0)


def test_however_much_is_used_only_the_last_hour_is_kept() -> None:
    buckets: tuple[Bucket, ...] = ()
    for minute in range(300):
        buckets = with_usage(buckets, Usage(input=1), START + minute * MINUTE)
        assert len(buckets) <= BUCKETS
    assert 60 <= spent(buckets, START + 299 * MINUTE).tokens <= 65


def test_a_clock_that_goes_back_loses_nothing() -> None:
    buckets = with_usage((), Usage(input=1), START)
    buckets = with_usage(buckets, Usage(input=1), START - BUCKET_MS)
    assert spent(buckets, START).tokens == 2


@pytest.mark.parametrize(
    ("caps", "told"),
    [
        (Caps(tokens=9, most_tokens=0, microusd=9, most_microusd=0), ()),
        (
            Caps(tokens=1_200, most_tokens=1_000, microusd=0, most_microusd=1),
            ("1,200 of 1,000 tokens in an hour",),
        ),
        (
            Caps(tokens=9, most_tokens=10, microusd=2_500_000, most_microusd=2_500_000),
            ("$2.50 of $2.50 in an hour",),
        ),
        (
            Caps(tokens=0, most_tokens=0, microusd=1_000_123, most_microusd=5),
            ("$1.000123 of $0.000005 in an hour",),
        ),
    ],
)
def test_caps_say_how_much_of_what_was_used(caps: Caps, told: tuple[str, ...]) -> None:
    assert caps.reached == told


def notices(of: PureSession) -> int:
    return sum(event.type == "stream.paused" for event in of.events)


def use(of: PureSession, tokens: int, *, job: str) -> None:
    """The attempt fails after it cost something."""
    ended = AttemptEnded(
        job=job, error="truncated", retry_at=0, usage=Usage(input=tokens, cost_microusd=tokens)
    )
    of.append(EventInput.of("llm.attempt_failed", ended))


@pytest.mark.parametrize(
    "rules", [Rules(max_tokens_per_hour=100), Rules(max_microusd_per_hour=100)], ids=["tokens", "dollars"]
)
def test_a_request_after_the_cap_is_owed_and_pauses_the_session_once(rules: Rules) -> None:
    talk = PureSession(rules)
    talk.say("follow_up")
    talk.advance(claims=True)
    use(talk, 60, job="s@1")
    talk.append(_settled("s@1", 40))

    talk.say("follow_up")
    talk.say("follow_up")
    made = talk.advance(claims=True)

    assert made.pause == "spend"
    assert made.claimed == {}
    assert [job.id for job in made.jobs] == ["s@2"]
    assert notices(talk) == 1
    assert Agent(lambda name: talk.rules).caps(talk.state, talk.now_ms).reached


def test_while_it_is_paused_no_other_notice_is_given_and_resuming_grants_a_new_hour() -> None:
    talk = PureSession(Rules(max_tokens_per_hour=100))
    for _ in range(3):
        talk.say("follow_up")
    talk.advance(claims=True)
    talk.append(_settled("s@1", 100))
    talk.advance(claims=True)
    assert notices(talk) == 1

    talk.cancel(queued=False)
    talk.advance()
    assert (notices(talk), talk.state.requests) == (1, 3)

    talk.append(EventInput.of("stream.resumed", StreamResumed()))
    talk.cancel(queued=False)
    talk.say("follow_up")
    made = talk.advance(claims=True)
    assert (notices(talk), made.pause, list(made.claimed)) == (1, "", ["s@4"])


def test_a_session_that_a_person_paused_gets_no_notice_on_top() -> None:
    talk = PureSession(Rules(max_tokens_per_hour=100))
    talk.say("follow_up")
    talk.advance(claims=True)
    talk.append(EventInput.of("stream.paused", StreamPaused(reason="operator")), _settled("s@1", 100))
    talk.say("follow_up")
    talk.advance()
    assert (notices(talk), talk.state.requests) == (1, 2)


def test_the_next_step_of_a_turn_is_capped_too() -> None:
    talk = PureSession(Rules(max_tokens_per_hour=100))
    talk.say("follow_up")
    talk.advance(claims=True)
    calls = (ToolCall(id="c", name="clock"),)
    answer = LLMSettled(job="s@1", outcome="succeeded", tool_calls=calls, usage=Usage(output=100))
    talk.append(EventInput.of("llm.settled", answer))
    talk.advance(claims=True)
    talk.finish("s@1.0")
    assert talk.advance(claims=True).pause == "spend"


def test_folding_the_log_anew_gives_the_same_hour() -> None:
    talk = PureSession(Rules(max_tokens_per_hour=1_000))
    for n in range(1, 5):
        talk.say("follow_up")
        talk.advance(claims=True)
        use(talk, n, job=f"s@{n}")
        talk.append(_settled(f"s@{n}", 10 * n))
        talk.advance()
        talk.now_ms += 7 * MINUTE
    assert talk.folded() == talk.state
    assert spent(talk.state.hour, talk.now_ms).tokens == 110


def _settled(job: str, tokens: int) -> EventInput:
    usage = Usage(input=tokens, cost_microusd=tokens)
    return EventInput.of("llm.settled", LLMSettled(job=job, outcome="succeeded", text="ok", usage=usage))


def test_a_state_stored_before_there_were_caps_is_read_and_folded_on() -> None:
    talk = PureSession(Rules(max_tokens_per_hour=1_000))
    talk.say("follow_up")
    talk.advance(claims=True)
    old = msgspec.json.decode(talk.fields["s:agent"])
    del old["hour"], old["is_paused"]
    del old["usage"]["cost_microusd"], old["turn"]["usage"]["cache_write"]
    talk.fields["s:agent"] = msgspec.json.encode(old)
    talk.append(_settled("s@1", 10))

    talk.advance()

    assert talk.folded() == talk.state
    assert (talk.state.usage.cost_microusd, spent(talk.state.hour, talk.now_ms)) == (10, Spent(10, 10))
