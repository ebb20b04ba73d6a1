"""What an input does while a turn is running, and how inputs that come together become one turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import pairwise

import pytest

from services.streams.vocabulary import LLMSettled, TurnSettled
from tests.fakes.llm_scripts import Stall
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.scenarios.vendor import calls, said
from tests.worker.waiting import wait_until

DEBOUNCE_MS = 150
LONGEST_MS = 10 * DEBOUNCE_MS
# Below the longest time, so that what waited for it does not pass for what did not.
SLACK_MS = 1_300
STEERED_WITHIN_MS = 2_000
CONFIG = f"""
[agents.chatty]
debounce_ms = {DEBOUNCE_MS}

[agents.collector]
policy = "collect"
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    setup = Setup(site=installed_site(tmp_path_factory), config=CONFIG, workers=2)
    with running_platform(tmp_path_factory.mktemp("policies"), setup) as running:
        yield running


def test_follow_up_inputs_get_turns_of_their_own_in_order(platform: Platform) -> None:
    session = Session(platform)
    gate = platform.vendor.hold(session.id)
    first = session.say("first")
    gate.wait_entered()
    others = [session.say(f"next {n}") for n in range(3)]
    gate.open()
    settled = session.settled(4)
    assert [turn.inputs for turn in settled] == [(first,), *((offset,) for offset in others)]
    assert {turn.outcome for turn in settled} == {"answered"}
    session.check_log()


def test_steering_stops_a_silent_request_and_the_next_turn_answers_both(platform: Platform) -> None:
    # Several at once, so that the holder and whoever decides are different processes.
    sessions = [Session(platform) for _ in range(6)]
    first = {}
    for session in sessions:
        platform.vendor.will(session.id, Stall(after=1), said("both"))
        first[session.id] = session.say("dig here")
    for session in sessions:
        session.wait_why("running_llm")
        platform.vendor.wait_asked(session.id)
    second = {session.id: session.say("no, there", policy="steer") for session in sessions}
    for session in sessions:
        superseded, answered = session.settled(2)
        both = (first[session.id], second[session.id])
        assert (superseded.outcome, superseded.inputs) == ("superseded", ())
        assert (answered.outcome, answered.inputs, answered.text) == ("answered", both, "both")
        steered = next(e for e in session.events("input.received") if e.offset == second[session.id])
        asked_again = session.events("llm.requested")[1]
        assert asked_again.created_at - steered.created_at < STEERED_WITHIN_MS
        again = platform.vendor.asked(session.id)[1]
        assert [m.text for m in again.messages if m.role == "user"] == ["dig here", "no, there"]
        session.check_log()
    wait_until(lambda: platform.vendor.server.disconnects >= len(sessions))


def test_a_steered_request_keeps_what_it_had_said(platform: Platform) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, Stall(after=2), said("now this"))
    session.say("tell a story")
    platform.vendor.wait_asked(session.id)
    session.say("a short one", policy="steer")
    session.settled(2)
    cancelled = session.all("llm.settled", LLMSettled)[0]
    assert (cancelled.outcome, cancelled.text) == ("cancelled", "Hello, ")


def test_steering_during_a_tool_call_settles_it_and_goes_on(platform: Platform) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, calls(("wait", '{"seconds": 60}')), said("fine"))
    first = session.say("take your time")
    session.wait("tool.started")
    second = session.say("no time", policy="steer")
    superseded, answered = session.settled(2)
    assert superseded.outcome == "superseded"
    assert answered.inputs == (first, second)
    assert '"outcome":"interrupted"' in bytes(session.events("tool.settled")[0].payload).decode()
    session.check_log()


def test_two_steering_inputs_end_in_one_turn(platform: Platform) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, Stall(), said("all three"))
    offsets = [session.say("one")]
    platform.vendor.wait_asked(session.id)
    threads = [
        threading.Thread(target=lambda n=n: offsets.append(session.say(f"more {n}", policy="steer")))
        for n in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    session.wait_until(
        lambda found: {o for e in found for o in e.decode(TurnSettled).inputs} == set(offsets), "turn.settled"
    )
    session.check_log()


def test_collected_inputs_form_one_next_turn(platform: Platform) -> None:
    session = Session(platform, agent="collector")
    gate = platform.vendor.hold(session.id)
    first = session.say("first")
    gate.wait_entered()
    others = tuple(session.say(f"more {n}") for n in range(4))
    gate.open()
    settled = session.settled(2)
    assert [turn.inputs for turn in settled] == [(first,), others]
    asked = platform.vendor.asked(session.id)[1]
    assert [m.text for m in asked.messages if m.role == "user"] == ["first", *(f"more {n}" for n in range(4))]


def test_a_collecting_input_takes_earlier_follow_ups_along(platform: Platform) -> None:
    session = Session(platform)
    gate = platform.vendor.hold(session.id)
    session.say("first")
    gate.wait_entered()
    waiting = (session.say("one"), session.say("two", policy="collect"))
    later = session.say("three")
    gate.open()
    assert [turn.inputs for turn in session.settled(3)][1:] == [waiting, (later,)]


def test_a_silent_input_starts_no_turn_and_is_known_to_the_next(platform: Platform) -> None:
    session = Session(platform)
    session.say("by the way", policy="silent")
    offset = session.say("what do you know?")
    [settled] = session.settled()
    assert settled.inputs == (offset,)
    [asked] = platform.vendor.asked(session.id)
    assert [m.text for m in asked.messages] == ["by the way", "what do you know?"]
    assert session.turns() == [(offset,)]


def test_a_session_with_silent_inputs_only_is_idle(platform: Platform) -> None:
    session = Session(platform)
    session.say("nobody needs to answer", policy="silent")
    session.wait_idle()
    assert session.turns() == []
    assert platform.vendor.asked(session.id) == []


def test_inputs_within_the_debounce_time_become_one_turn(platform: Platform) -> None:
    session = Session(platform, agent="chatty")
    offsets = (session.say("one"), session.say("two"), session.say("three"))
    [settled] = session.settled()
    assert settled.inputs == offsets
    asked = session.events("llm.requested")[0]
    last = session.events("input.received")[-1]
    assert DEBOUNCE_MS <= asked.created_at - last.created_at <= DEBOUNCE_MS + SLACK_MS


def test_a_debounced_session_says_until_when(platform: Platform) -> None:
    session = Session(platform, agent="chatty")
    session.say("wait for it")
    why = session.wait_why("debouncing")
    assert why.wait is not None
    received = session.events("input.received")[0].created_at
    assert (why.wait.since, why.wait.until) == (received, received + DEBOUNCE_MS)
    session.settled()


def test_debouncing_slides_to_ten_times_the_time_at_most_and_loses_nothing(platform: Platform) -> None:
    session = Session(platform, agent="chatty")
    offsets: list[int] = []
    while not session.turns():
        offsets.append(session.say(f"word {len(offsets)}"))
    session.wait_until(
        lambda found: {o for e in found for o in e.decode(TurnSettled).inputs} == set(offsets), "turn.settled"
    )
    began = session.events("turn.started")[0]
    inputs = {e.offset: e.created_at for e in session.events("input.received")}
    turn = session.turns()[0]
    assert turn == tuple(inputs)[: len(turn)]
    before = [inputs[offset] for offset in turn]
    first, last = before[0], before[-1]
    # What gets in between the decision and its commit belongs to the next turn; nothing earlier does.
    closed = min(first + LONGEST_MS, last + DEBOUNCE_MS)
    late = [at for offset, at in inputs.items() if turn[-1] < offset < began.offset]
    assert all(at > closed - DEBOUNCE_MS for at in late)
    gaps = [b - a for a, b in pairwise(before)]
    waited = began.created_at - first
    assert waited <= LONGEST_MS + SLACK_MS
    assert max(gaps) < DEBOUNCE_MS or waited < LONGEST_MS
    assert waited >= LONGEST_MS or began.created_at - last >= DEBOUNCE_MS
    session.check_log()


def test_inputs_that_came_during_a_turn_are_not_debounced_again(platform: Platform) -> None:
    session = Session(platform, agent="chatty")
    gate = platform.vendor.hold(session.id)
    session.say("first")
    gate.wait_entered()
    session.say("second")
    gate.open()
    session.settled(2)
    ended = session.events("turn.settled")[0]
    began = session.events("turn.started")[1]
    assert began.created_at - ended.created_at < DEBOUNCE_MS
