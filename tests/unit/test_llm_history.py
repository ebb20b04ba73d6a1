"""What is sent to a model: the turn that asks is whole, every call has its own result, older turns are windowed."""

from __future__ import annotations

import itertools

import pytest

from services.llm.history import INTERRUPTED, PAGE, History, build
from services.streams.event import Event, EventInput
from services.streams.payload import Payload, Policy
from services.streams.vocabulary import (
    HistoryWindowed,
    InputReceived,
    InputReplaced,
    InputWithdrawn,
    LLMRequested,
    LLMSettled,
    StreamCreated,
    ToolCall,
    ToolSettled,
    TurnStarted,
)
from tests.fakes.pure_session import ListLog, S


class Counting(ListLog):
    """Counts the pages that are read."""

    def __init__(self, events: list[Event]) -> None:
        super().__init__(events)
        self.pages = 0

    def read_back(
        self,
        stream: str,
        *,
        before: int | None = None,
        limit: int = 100,
        types: frozenset[str] | None = None,
    ) -> list[Event]:
        """See `Log.read_back`."""
        self.pages += 1
        return super().read_back(S, before=before, limit=limit, types=types)


class Script:
    """Writes a log, event by event."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.turn = self.step = 0
        self.add("stream.created", StreamCreated())

    def add(self, type: str, payload: Payload) -> int:
        self.events.append(EventInput.of(type, payload).at(len(self.events) + 1, 0))
        return len(self.events)

    def say(self, text: str, policy: Policy = "follow_up") -> int:
        return self.add("input.received", InputReceived(text=text, policy=policy))

    def begin(self, *inputs: int) -> LLMRequested:
        self.turn += 1
        self.inputs = inputs
        self.add("turn.started", TurnStarted(turn=self.turn, inputs=inputs))
        return self.ask()

    def ask(self) -> LLMRequested:
        self.step += 1
        asked = LLMRequested(
            turn=self.turn, job=f"s@{self.step}", step=1, inputs=self.inputs, upto=len(self.events)
        )
        self.add("llm.requested", asked)
        return asked

    def answer(self, text: str = "", *calls: str) -> None:
        wanted = tuple(ToolCall(id=id, name="clock") for id in calls)
        job = f"s@{self.step}"
        self.add("llm.settled", LLMSettled(job=job, outcome="succeeded", text=text, tool_calls=wanted))

    def result(self, i: int, text: str) -> None:
        self.add("tool.settled", ToolSettled(job=f"s@{self.step}.{i}", outcome="succeeded", result=text))

    def history(self, asked: LLMRequested, context_tokens: int = 8_000) -> History:
        return build(ListLog(self.events), S, asked, context_tokens)


def users(history: History) -> list[str]:
    return [message.text for message in history.messages if message.role == "user"]


def check_sendable(history: History) -> None:
    """Each call has exactly one result, right behind it, and its id stands for nothing else."""
    ids = [call.id for message in history.messages for call in message.tool_calls]
    assert len(ids) == len(set(ids))
    owed: list[str] = []
    for message in history.messages:
        if message.role == "tool":
            assert message.call_id == owed.pop(0)
        else:
            assert not owed
            owed = [call.id for call in message.tool_calls]
    assert not owed


@pytest.mark.parametrize("context_tokens", [8_000, 500], ids=["of many steps", "larger than the context"])
def test_the_turn_that_asks_is_sent_whole(context_tokens: int) -> None:
    script = Script()
    asked = script.begin(script.say("do it all"))
    for _ in range(21):
        script.answer("", *"abcde")
        for i in range(5):
            script.result(i, "r" * 400)
        asked = script.ask()

    history = script.history(asked, context_tokens)

    assert [message.role for message in history.messages].count("tool") == 21 * 5
    assert (users(history), history.is_empty, history.first_turn) == (["do it all"], False, 1)
    check_sendable(history)


def test_calls_with_the_same_id_in_several_steps_have_their_own_results() -> None:
    script = Script()
    asked = script.begin(script.say("two steps"))
    for result in ("first", "second"):
        script.answer("", "call_1")
        script.result(0, result)
        asked = script.ask()
    script.answer("", "call_1", "call_1-2")
    script.result(1, "last")
    asked = script.ask()

    history = script.history(asked)

    told = [message.text for message in history.messages if message.role == "tool"]
    assert told == ["first", "second", INTERRUPTED, "last"]
    check_sendable(history)


def test_what_was_changed_before_a_long_turn_ended_is_sent_as_changed() -> None:
    script = Script()
    script.begin(script.say("long"))
    replaced, withdrawn = script.say("old"), script.say("never mind")
    script.add("input.replaced", InputReplaced(input=replaced, text="new"))
    script.add("input.withdrawn", InputWithdrawn(input=withdrawn))
    for _ in range(PAGE):
        script.answer("x" * 1_000, "a")
        script.result(0, "done")
        script.ask()
    script.answer("x" * 30_000)

    history = script.history(script.begin(replaced, withdrawn))

    assert (users(history), history.is_empty, history.first_turn) == (["new"], False, 2)


def test_a_turn_whose_input_waited_long_is_sent_with_it() -> None:
    script = Script()
    script.begin(script.say("long"))
    waited = script.say("waited")
    script.answer("x" * 30_000)
    for _ in range(PAGE):
        script.ask()
    script.begin(waited)
    script.answer("short")

    history = script.history(script.begin(script.say("now")))

    assert [message.text for message in history.messages] == ["waited", "short", "now"]


def test_a_request_without_any_input_left_is_empty() -> None:
    script = Script()
    withdrawn = script.say("never mind")
    asked = script.begin(withdrawn)
    script.add("input.withdrawn", InputWithdrawn(input=withdrawn))

    empty = script.history(asked)
    assert (empty.messages, empty.first_turn, empty.is_empty) == ((), 0, True)


def test_tiny_silent_inputs_do_not_make_a_request_read_the_whole_log() -> None:
    script = Script()
    for _ in range(5_000):
        script.say(".", policy="silent")
    log = Counting(script.events)

    history = build(log, S, script.begin(script.say("now")), 8_000)

    assert log.pages <= 4
    assert users(history)[-1] == "now"
    assert 400 < len(users(history)) <= 500


def test_silent_inputs_behind_a_large_turn_do_not_displace_it() -> None:
    script = Script()
    script.begin(script.say("large"))
    script.answer("x" * 40_000, "a")
    script.result(0, "done")
    script.say("by the way", policy="silent")

    assert users(script.history(script.ask()))[0] == "large"


def test_waiting_inputs_take_no_room_from_older_turns() -> None:
    script = Script()
    script.begin(script.say("one"))
    script.answer("two")
    said = script.say("three")
    for _ in range(PAGE):
        script.say("x" * 1_000)

    history = script.history(script.begin(said))

    assert ([m.text for m in history.messages], history.first_turn) == (["one", "two", "three"], 0)


def test_a_cut_stays_where_it_is_until_the_window_is_full_again() -> None:
    script = Script()
    cuts = []
    for n in range(1, 200):
        asked = script.begin(script.say(f"{n}"))
        history = script.history(asked)
        if history.first_turn:
            script.add("history.windowed", HistoryWindowed(job=asked.job, first_turn=history.first_turn))
            cuts.append((n, history.first_turn))
        first = cuts[-1][1] if cuts else 1
        assert users(history) == [str(k) for k in range(first, n + 1)]
        script.answer("ü" * 800)

    assert cuts[0] == (29, 11)
    assert all(later[1] - sooner[1] > 5 for sooner, later in itertools.pairwise(cuts))
