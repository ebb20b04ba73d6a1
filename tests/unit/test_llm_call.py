"""How one attempt at a model request starts, is stopped and ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from services.errors import Revoked
from services.jobs.deadline import Deadlines
from services.llm.call import RunningCall, stream_run
from services.llm.provider import (
    Call,
    ChatRequest,
    Finished,
    Piece,
    ProviderError,
    TextDelta,
    ToolCallRequest,
)

REQUEST = ChatRequest(model="m", system="", messages=())
STOP = Finished(reason="stop")


@pytest.fixture
def call() -> RunningCall:
    return RunningCall(deadlines=Deadlines(), wall_s=60)


class Scripted:
    """A provider that yields or raises what it was given."""

    name = "scripted"
    context_tokens = 100

    def __init__(self, *steps: Piece | Exception, starts: bool = True) -> None:
        self._steps = steps
        self._starts = starts
        self.is_closed = False

    def stream(self, request: ChatRequest, call: Call) -> Iterator[Piece]:
        if self._starts:
            call.starting()
        try:
            for step in self._steps:
                if isinstance(step, Exception):
                    raise step
                yield step
        finally:
            self.is_closed = True


class Blocked:
    """A provider that waits until its call is cancelled."""

    name = "blocked"
    context_tokens = 100

    def __init__(self, *, starts: bool = True) -> None:
        self._starts = starts

    def stream(self, request: ChatRequest, call: Call) -> Iterator[Piece]:
        if self._starts:
            call.starting()
        freed = threading.Event()
        call.on_cancel(freed.set)
        assert freed.wait(5)
        yield from _fail()


def _fail() -> Iterator[Piece]:
    raise ProviderError("truncated")


def error_of(provider: Scripted | Blocked, call: RunningCall) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        list(stream_run(provider, REQUEST, call))
    return raised.value


def test_a_callback_runs_once_on_cancel_and_the_first_reason_stays(call: RunningCall) -> None:
    calls: list[str] = []
    call.on_cancel(lambda: calls.append("shut"))
    call.cancel("user")
    call.cancel("deploy")
    assert (calls, call.cancel_reason, call.is_cancelled()) == (["shut"], "user", True)


def test_a_callback_registered_after_the_cancel_runs_at_once(call: RunningCall) -> None:
    call.cancel("user")
    calls: list[str] = []
    call.on_cancel(lambda: calls.append("shut"))
    assert calls == ["shut"]


def test_a_callback_that_was_taken_back_does_not_run(call: RunningCall) -> None:
    calls: list[str] = []
    forget = call.on_cancel(lambda: calls.append("shut"))
    forget()
    call.cancel("user")
    assert calls == []


def test_taking_back_waits_for_a_callback_that_is_running(call: RunningCall) -> None:
    entered, leave, order = threading.Event(), threading.Event(), list[str]()

    def shut() -> None:
        entered.set()
        assert leave.wait(5)
        order.append("shut")

    forget = call.on_cancel(shut)
    canceller = threading.Thread(target=call.cancel, args=("user",))
    canceller.start()
    assert entered.wait(5)

    def take_back() -> None:
        forget()
        order.append("forgotten")

    taker = threading.Thread(target=take_back)
    taker.start()
    leave.set()
    taker.join(5)
    canceller.join(5)
    assert order == ["shut", "forgotten"]


@pytest.mark.parametrize("error", [OSError("gone"), ValueError("bug")])
def test_a_callback_that_raises_stops_neither_the_others_nor_the_canceller(
    call: RunningCall, error: Exception
) -> None:
    calls: list[str] = []

    def broken() -> None:
        raise error

    call.on_cancel(broken)
    call.on_cancel(lambda: calls.append("shut"))
    call.cancel("user")
    assert calls == ["shut"]


def test_starting_is_refused_after_a_cancel(call: RunningCall) -> None:
    call.cancel("user")
    with pytest.raises(ProviderError) as raised:
        call.starting()
    assert (raised.value.kind, raised.value.code, call.is_started) == ("cancelled", "user", False)


def test_starting_is_refused_without_a_lease() -> None:
    call = RunningCall(deadlines=Deadlines(), wall_s=60, may_start=lambda: False)
    with pytest.raises(ProviderError) as raised:
        call.starting()
    assert raised.value.kind == "cancelled"
    assert call.cancel_reason == "may_not_start"


def test_the_wall_limit_ends_a_started_attempt_as_ambiguous() -> None:
    with RunningCall(deadlines=Deadlines(), wall_s=0.05) as call:
        error = error_of(Blocked(), call)
    assert (error.kind, error.code, call.cancel_reason) == ("ambiguous", "wall_timeout", "wall")


def test_the_wall_limit_before_the_start_means_that_nothing_was_sent() -> None:
    with RunningCall(deadlines=Deadlines(), wall_s=0.05) as call:
        error = error_of(Blocked(starts=False), call)
    assert (error.kind, error.code) == ("not_sent", "wall_timeout")


def test_the_wall_limit_is_disarmed_at_the_end() -> None:
    deadlines = Deadlines()
    with RunningCall(deadlines=deadlines, wall_s=60) as call:
        assert list(stream_run(Scripted(STOP), REQUEST, call)) == [STOP]
        assert deadlines.armed() == 1
    assert deadlines.armed() == 0


def test_deadlines_fire_in_the_order_of_their_time_and_survive_one_that_raises() -> None:
    deadlines, fired, done = Deadlines(), list[str](), threading.Event()

    def broken() -> None:
        fired.append("broken")
        raise ValueError

    deadlines.arm(0.06, done.set)
    deadlines.arm(0.04, lambda: fired.append("second"))
    deadlines.arm(0.02, broken)
    disarm = deadlines.arm(0.03, lambda: fired.append("disarmed"))
    disarm()
    assert done.wait(5)
    assert fired == ["broken", "second"]


def test_deadlines_that_were_disarmed_take_no_room() -> None:
    deadlines = Deadlines()
    for _ in range(1000):
        deadlines.arm(600, lambda: None)()
    assert len(deadlines._heap) < 200


def test_an_answer_passes_unchanged(call: RunningCall) -> None:
    pieces: list[Piece] = [TextDelta("a"), ToolCallRequest(id="1", name="t", arguments="{}"), STOP]
    assert list(stream_run(Scripted(*pieces), REQUEST, call)) == pieces


def test_a_stream_without_its_end_is_truncated(call: RunningCall) -> None:
    assert error_of(Scripted(TextDelta("a")), call).kind == "truncated"


def test_anything_after_the_end_is_malformed(call: RunningCall) -> None:
    assert error_of(Scripted(STOP, TextDelta("a")), call).kind == "malformed"
    again = RunningCall(deadlines=Deadlines(), wall_s=60)
    assert error_of(Scripted(STOP, STOP), again).kind == "malformed"


def test_empty_and_repeated_tool_call_ids_are_made_unique(call: RunningCall) -> None:
    requests = [ToolCallRequest(id=id_, name="t", arguments="{}") for id_ in ("a", "a-2", "a", "", "")]
    pieces = list(stream_run(Scripted(*requests, STOP), REQUEST, call))
    ids = [piece.id for piece in pieces if isinstance(piece, ToolCallRequest)]
    assert ids == ["a", "a-2", "a-3", "call", "call-2"]


def test_a_provider_that_never_asks_to_start_is_a_defect(call: RunningCall) -> None:
    error = error_of(Scripted(STOP, starts=False), call)
    assert (error.kind, error.code) == ("rejected", "defect_not_started")


def test_a_foreign_exception_is_a_defect_without_its_words(call: RunningCall) -> None:
    error = error_of(Scripted(KeyError("sk-canary")), call)
    assert (error.kind, error.code) == ("rejected", "defect_KeyError")
    assert "canary" not in str(error)


def test_any_error_of_a_cancelled_attempt_is_cancelled(call: RunningCall) -> None:
    stream = stream_run(Scripted(TextDelta("a"), ProviderError("truncated")), REQUEST, call)
    next(stream)
    call.cancel("user")
    with pytest.raises(ProviderError) as raised:
        next(stream)
    assert (raised.value.kind, raised.value.code) == ("cancelled", "user")


def test_our_own_errors_pass_through(call: RunningCall) -> None:
    with pytest.raises(Revoked):
        list(stream_run(Scripted(Revoked()), REQUEST, call))


def test_leaving_early_closes_the_providers_stream(call: RunningCall) -> None:
    provider = Scripted(TextDelta("a"), STOP)
    stream = stream_run(provider, REQUEST, call)
    next(stream)
    stream.close()
    assert provider.is_closed
