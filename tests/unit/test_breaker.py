"""The circuit breaker counts events in their own time and pauses what floods."""

from __future__ import annotations

from services.processors.breaker import REASON, Breaker, BreakerState
from services.processors.contract import Emit, Moment
from services.streams.event import Event, EventInput, StreamId
from services.streams.vocabulary import HistoryWindowed, StreamPaused, StreamResumed

MINUTE = 60_000
HERE = Moment(stream=StreamId("app:flood"), now_ms=0)


def event(offset: int, at_ms: int) -> Event:
    return EventInput.of("history.windowed", HistoryWindowed(job="j", first_turn=1)).at(offset, at_ms)


def folded(breaker: Breaker, times: list[int], state: BreakerState | None = None) -> BreakerState:
    state = state or breaker.initial()
    for offset, at in enumerate(times, start=1):
        state = breaker.reduce(state, event(offset, at))
    return state


def test_a_burst_within_its_allowance_passes() -> None:
    breaker = Breaker(per_minute=10, burst=20)
    state = folded(breaker, [0] * 30)
    assert breaker.wakes_at(state) is None


def test_more_than_burst_and_rate_pauses_the_stream_once() -> None:
    breaker = Breaker(per_minute=10, burst=20)
    state = folded(breaker, [0] * 31)

    assert breaker.wakes_at(state) == 0
    (decision,) = breaker.on_time(state, HERE)

    assert isinstance(decision, Emit)
    assert decision.event.type == "stream.paused"
    paused = decision.event.at(32, 0)
    assert paused.decode(StreamPaused).reason == REASON
    assert breaker.wakes_at(breaker.reduce(state, paused)) is None


def test_the_allowed_rate_goes_on_for_ever() -> None:
    breaker = Breaker(per_minute=10, burst=20)
    times = [minute * MINUTE + i for minute in range(60) for i in range(10)]
    state = folded(breaker, times)
    assert breaker.wakes_at(state) is None


def test_twice_the_rate_is_found_within_ten_minutes() -> None:
    breaker = Breaker(per_minute=10, burst=50)
    times = [minute * MINUTE + i for minute in range(8) for i in range(20)]
    state = folded(breaker, times)
    assert breaker.wakes_at(state) == 0


def test_quiet_minutes_are_forgotten() -> None:
    breaker = Breaker(per_minute=10, burst=20)
    state = folded(breaker, [0] * 30)
    state = folded(breaker, [11 * MINUTE] * 30, state)
    assert breaker.wakes_at(state) is None


def test_resuming_starts_the_count_anew() -> None:
    breaker = Breaker(per_minute=10, burst=20)
    state = folded(breaker, [0] * 31)
    resumed = EventInput.of("stream.resumed", StreamResumed()).at(32, 1)
    assert breaker.reduce(state, resumed) == BreakerState()


def test_a_clock_that_goes_back_counts_in_the_newest_minute() -> None:
    breaker = Breaker(per_minute=10, burst=20)
    state = folded(breaker, [5 * MINUTE, 0, 5 * MINUTE])
    assert state.counts == (3,)
