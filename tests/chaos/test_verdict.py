"""The checker of the kill test finds what it is there to find."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from services.llm.provider import ChatRequest
from tests.chaos.api import Detail, Event
from tests.chaos.ledger import Ack
from tests.chaos.monkey import Blow, kill, stop
from tests.chaos.verdict import Evidence, counted, judge
from tests.fakes.callback_server import Received
from tests.fakes.llm_server import Recorded

S = "app:a"
CALL = {"job": f"{S}@1.0", "call": "call-1", "name": "append_note"}


def events_of(*said: tuple[str, dict[str, Any]]) -> list[Event]:
    """Events a second apart, from the first second on."""
    return [Event(n, type, payload, n * 1000) for n, (type, payload) in enumerate(said, 1)]


def called(at: float) -> Recorded:
    """The vendor was called for the first request."""
    asked = ChatRequest(model="fake-1", system="", messages=(), session=S, job=f"{S}@1")
    return Recorded(path="/", headers={}, body=b"", asked=asked, received_at=at)


GOOD = Evidence(
    acks=[Ack(session=S, offset=2, policy="follow_up", text="p1", acked_at=2.0)],
    events={
        S: events_of(
            ("stream.created", {}),
            ("input.received", {}),
            ("turn.started", {"turn": 1, "inputs": [2]}),
            ("llm.requested", {"job": f"{S}@1"}),
            ("llm.settled", {"job": f"{S}@1"}),
            ("tool.requested", CALL),
            ("tool.settled", {"job": f"{S}@1.0", "outcome": "succeeded"}),
            ("turn.settled", {"turn": 1, "outcome": "answered", "inputs": [2]}),
        )
    },
    calls=[called(4.5)],
    notes=[f"{S}\tcall-1\tnoted"],
    blows=[],
    statuses={S: Detail("idle")},
    due={"advance": 0, "llm": 0},
)


def letter(turn: int, *inputs: int, id: str = "") -> Received:
    """What a callback was told of a turn."""
    data = {"session": S, "turn": turn, "inputs": inputs}
    body = json.dumps({"data": data}).encode()
    headers = {"webhook-id": id or f"reply-{turn}"}
    return Received(path="/", headers=headers, body=body, connection=1)


OWED = replace(
    GOOD,
    acks=[replace(GOOD.acks[0], is_told=True)],
    events={
        S: [
            *GOOD.events[S],
            Event(9, "reply.queued", {"job": f"{S}@r1"}, 9000),
            Event(10, "reply.delivered", {"job": f"{S}@r1"}, 9000),
        ]
    },
    letters=[letter(1, 2)],
)
Change = Callable[[list[Event]], Sequence[Event]]


def without(type: str) -> Change:
    """The events less those of a type."""
    return lambda events: [event for event in events if event.type != type]


def twice(type: str) -> Change:
    """The last event of a type comes a second time, at the end."""

    def change(events: list[Event]) -> list[Event]:
        last = next(event for event in reversed(events) if event.type == type)
        return [*events, Event(len(events) + 1, type, last.payload, len(events) * 1000 + 1000)]

    return change


def changed(change: Change) -> Evidence:
    """The good evidence with other events."""
    return replace(GOOD, events={S: change(list(GOOD.events[S]))})


def test_a_run_that_kept_every_promise_is_clean() -> None:
    verdict = judge(GOOD)

    assert (verdict.broken, verdict.late) == ({}, [])
    assert judge(replace(OWED, letters=[*OWED.letters, *OWED.letters])).broken == {}


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (changed(without("turn.settled")), "input 2 (follow_up) was settled 0 times"),
        (changed(twice("turn.settled")), "input 2 (follow_up) was settled 2 times"),
        (changed(without("stream.created")), "not dense"),
        (changed(without("llm.settled")), "llm jobs asked for"),
        (changed(twice("tool.settled")), "tool jobs asked for"),
        (changed(twice("turn.started")), "turn 1 was started 2 times"),
        (replace(GOOD, acks=[]), "nobody was told of"),
        (replace(GOOD, calls=[called(5.5)]), "0.500 s after app:a@1 was settled"),
        (replace(GOOD, notes=[*GOOD.notes, *GOOD.notes]), "done 2 times"),
        (replace(GOOD, notes=[]), "is said to be done and is not"),
        (replace(GOOD, statuses={S: Detail("waiting")}), "its status is waiting"),
        (replace(GOOD, due={"llm": 1.0}), "turnwright_due{kind=llm} is 1"),
        (replace(OWED, letters=[]), "the callback of input 2 was not told"),
        (replace(OWED, letters=[letter(1, 2), letter(1, 2, id="other")]), "under two ids"),
        (replace(OWED, letters=[letter(2, 3), letter(1, 2)]), "told in the order [2, 1]"),
        (replace(OWED, events={S: OWED.events[S][:-1]}), "were delivered {} times"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_broken_promise_is_named(evidence: Evidence, said: str) -> None:
    broken = [one for each in judge(evidence).broken.values() for one in each]

    assert any(said in one for one in broken), broken


def test_a_silent_prompt_is_in_no_turn() -> None:
    silent = replace(GOOD.acks[0], policy="silent")

    assert "was settled 1 times" in judge(replace(GOOD, acks=[silent])).broken[S][0]


def test_a_turn_that_failed_is_one_given_up_too_early() -> None:
    failed = changed(
        lambda events: [
            replace_payload(event, outcome="failed", reason="attempts_exhausted")
            if event.type == "turn.settled"
            else event
            for event in events
        ]
    )

    assert judge(failed).broken[S] == ["turn 1 failed: attempts_exhausted"]


def test_each_stop_excuses_one_late_call_that_comes_as_the_process_goes_on() -> None:
    blow = Blow(act=stop(), role="worker-1", pid=1, at=3.0, until=9.0)
    late = replace(GOOD, calls=[called(9.1)], blows=[blow])

    assert judge(late).broken == {}
    assert len(judge(late).late) == 1
    assert S in judge(replace(late, calls=[called(9.1), called(9.2)])).broken
    assert S in judge(replace(late, calls=[called(12.0)])).broken


@pytest.mark.parametrize(("at", "counts"), [(1.9, False), (2.1, True), (7.9, True), (8.1, False)])
def test_a_kill_counts_while_an_acknowledged_turn_is_open(at: float, counts: bool) -> None:
    assert counted(Blow(act=kill("web"), role="web", pid=1, at=at), GOOD) is counts


def replace_payload(event: Event, **fields: object) -> Event:
    """The event with other fields."""
    return Event(event.offset, event.type, {**event.payload, **fields}, event.created_at)
