"""How one tool call ends, whatever the tool does."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import msgspec
import pytest

from services.tools.clock import clock_tool
from services.tools.contract import Tool, ToolCall, ToolError, tool
from services.tools.registry import ToolRegistry
from services.tools.runner import RESULT_LIMIT, ToolOutcome, ToolRunner

release = threading.Event()
marker: contextvars.ContextVar[str] = contextvars.ContextVar("marker", default="")


@tool(effect="read_only")
def add(a: int, b: int = 1) -> int:
    """Add."""
    return a + b


@tool
def refuse() -> str:
    """Refuse."""
    raise ToolError("only on Sundays")


@tool
def break_down() -> str:
    """Break."""
    raise KeyError("sk-canary")


@tool
def leave() -> str:
    """Exit."""
    raise SystemExit(1)


@tool
def talk(n: int) -> str:
    """Talk."""
    return "ä" * n


@tool
def odd() -> object:
    """Return what JSON has no form for."""
    return object()


@tool
def nothing() -> None:
    """Return nothing."""


@tool
def surrogate() -> str:
    """Return text that UTF-8 has no form for."""
    return "a\ud800b"


@tool
def trace() -> str:
    """Tell the caller's context."""
    return marker.get()


@tool(timeout_s=0.1)
def hang() -> str:
    """Hang."""
    release.wait(10)
    return "late"


@tool(timeout_s=10)
def linger() -> str:
    """Hang, but for long."""
    release.wait(10)
    return "late"


@tool(timeout_s=10)
def heed(call: ToolCall) -> str:
    """Wait for a cancel."""
    return "heeded" if call.wait_cancelled(10) else "not"


TOOLS = (add, refuse, break_down, leave, talk, odd, nothing, surrogate, trace, hang, linger, heed)


@pytest.fixture
def runner() -> Iterator[ToolRunner]:
    release.clear()
    yield ToolRunner(ToolRegistry(TOOLS))
    release.set()


def a_call() -> ToolCall:
    return ToolCall(session="prompt:1", call="c1")


def told(outcome: ToolOutcome) -> dict[str, str]:
    return msgspec.json.decode(outcome.result, type=dict[str, str])


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def test_a_result_that_is_not_text_becomes_json(runner: ToolRunner) -> None:
    assert runner.run("add", '{"a": 2}', a_call()) == ToolOutcome(outcome="succeeded", result="3")
    assert runner.run("nothing", "{}", a_call()).result == "null"


def test_an_unknown_tool_is_told_to_the_model_with_what_there_is(runner: ToolRunner) -> None:
    outcome = runner.run("ad\ud800d", "{}", a_call(), ("add", "talk"))
    assert (outcome.outcome, outcome.error) == ("failed", "unknown_tool")
    assert told(outcome)["message"].endswith("there are: add, talk")


def test_a_tool_that_the_agent_was_not_given_is_unknown(runner: ToolRunner) -> None:
    assert runner.run("add", '{"a": 2}', a_call(), ()).error == "unknown_tool"
    assert runner.run("add", '{"a": 2}', a_call(), ("add",)).outcome == "succeeded"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param("{", id="cut"),
        pytest.param("not json", id="words"),
        pytest.param("[]", id="array"),
        pytest.param("null", id="null"),
        pytest.param("{}", id="missing"),
        pytest.param('{"a": "2"}', id="wrong type"),
        pytest.param('{"a": 1, "c": 2}', id="unknown"),
        pytest.param('{"a": 1e999}', id="infinite"),
        pytest.param('{"a": NaN}', id="not a number"),
        pytest.param('{"a": "\ud800"}', id="surrogate"),
        pytest.param('{"a":' * 100_000, id="deep objects"),
        pytest.param('{"a": ' + "[" * 100_000, id="deep arrays"),
    ],
)
def test_bad_arguments_are_told_to_the_model(runner: ToolRunner, arguments: str) -> None:
    outcome = runner.run("add", arguments, a_call())
    assert (outcome.outcome, outcome.error) == ("failed", "bad_arguments")
    assert told(outcome)["message"]


def test_empty_arguments_are_an_empty_object(runner: ToolRunner) -> None:
    assert runner.run("nothing", " ", a_call()).outcome == "succeeded"


def test_a_tool_error_carries_its_words_to_the_model(runner: ToolRunner) -> None:
    outcome = runner.run("refuse", "{}", a_call())
    assert (outcome.outcome, outcome.error) == ("failed", "tool_error")
    assert told(outcome)["message"] == "only on Sundays"


def test_any_other_exception_tells_only_its_type(runner: ToolRunner) -> None:
    outcome = runner.run("break_down", "{}", a_call())
    assert (outcome.outcome, outcome.error) == ("failed", "KeyError")
    assert "canary" not in outcome.result
    assert runner.run("leave", "{}", a_call()).error == "SystemExit"


def test_a_result_without_a_json_form_is_a_failure(runner: ToolRunner) -> None:
    assert runner.run("odd", "{}", a_call()).error == "TypeError"


def test_text_that_can_not_be_stored_is_mended(runner: ToolRunner) -> None:
    assert runner.run("surrogate", "{}", a_call()).result == "a?b"


def test_a_large_result_is_cut_visibly(runner: ToolRunner) -> None:
    outcome = runner.run("talk", '{"n": 1000000}', a_call())
    assert outcome.outcome == "succeeded"
    assert len(outcome.result.encode()) <= RESULT_LIMIT
    assert outcome.result.endswith("[cut: 2000000 bytes, the first 256 KB are shown]")


def test_a_result_at_the_limit_is_whole(runner: ToolRunner) -> None:
    outcome = runner.run("talk", f'{{"n": {RESULT_LIMIT // 2}}}', a_call())
    assert outcome.result == "ä" * (RESULT_LIMIT // 2)


def test_a_tool_runs_in_the_callers_context(runner: ToolRunner) -> None:
    token = marker.set("span-1")
    try:
        assert runner.run("trace", "{}", a_call()).result == "span-1"
    finally:
        marker.reset(token)


def test_a_tool_over_its_time_fails_and_its_thread_is_counted_until_it_ends(runner: ToolRunner) -> None:
    call = a_call()
    outcome = runner.run("hang", "{}", call)
    assert (outcome.outcome, outcome.error) == ("failed", "timeout")
    assert call.is_cancelled()
    assert runner.stuck_threads() == 1
    release.set()
    wait_until(lambda: runner.stuck_threads() == 0)


def test_a_cancel_interrupts_a_tool_that_does_not_heed_it(runner: ToolRunner) -> None:
    call, outcomes = a_call(), list[ToolOutcome]()
    waiting = threading.Thread(target=lambda: outcomes.append(runner.run("linger", "{}", call)))
    waiting.start()
    call.cancel("user")
    waiting.join(2)
    assert [(outcome.outcome, outcome.error) for outcome in outcomes] == [("interrupted", "interrupted")]
    release.set()
    wait_until(lambda: runner.stuck_threads() == 0)


def test_a_tool_that_heeds_a_cancel_leaves_no_thread(runner: ToolRunner) -> None:
    call = a_call()
    waiting = threading.Thread(target=runner.run, args=("heed", "{}", call))
    waiting.start()
    call.cancel("user")
    waiting.join(2)
    assert not waiting.is_alive()
    wait_until(lambda: runner.stuck_threads() == 0)


def test_a_call_cancelled_beforehand_does_not_run(runner: ToolRunner) -> None:
    call = a_call()
    call.cancel("user")
    assert runner.run("add", '{"a": 1}', call).outcome == "interrupted"


def clock_at_noon() -> Tool:
    return clock_tool(lambda: datetime(2026, 7, 1, 12, 0, tzinfo=UTC))


def test_the_clock_tells_the_time_in_a_zone() -> None:
    runner = ToolRunner(ToolRegistry([clock_at_noon()]))
    assert told(runner.run("clock", "", a_call())) == {
        "time": "2026-07-01T12:00:00+00:00",
        "timezone": "UTC",
        "weekday": "Wednesday",
    }
    vienna = told(runner.run("clock", '{"timezone": "Europe/Vienna"}', a_call()))
    assert vienna["time"] == "2026-07-01T14:00:00+02:00"


@pytest.mark.parametrize("zone", ["Nowhere/X", "../../etc/passwd", "", "Europe", "/etc/localtime", "\\u0000"])
def test_an_unknown_zone_is_told_to_the_model(zone: str) -> None:
    outcome = ToolRunner(ToolRegistry([clock_at_noon()])).run("clock", f'{{"timezone": "{zone}"}}', a_call())
    assert outcome.error == "tool_error"
    assert "unknown time zone" in told(outcome)["message"]
