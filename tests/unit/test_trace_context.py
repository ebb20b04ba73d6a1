"""Trace contexts as they come in from anywhere: read strictly, and carried on in part."""

from __future__ import annotations

import pytest

from services.streams.event import EventInput, decode_entry
from services.streams.vocabulary import StreamResumed
from services.telemetry.context import (
    Trace,
    agent_span,
    baggage_items,
    caused_by,
    current,
    new_trace,
    read_baggage,
    read_trace,
    session,
    work_for,
)
from services.telemetry.tracer import NoTracer, within

IDS = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
PARENT = f"00-{IDS[0]}-{IDS[1]}-01"
ALLOWED = frozenset({"gen_ai.conversation.id", "gen_ai.agent.name"})


def test_a_traceparent_is_read_and_written_again() -> None:
    trace = read_trace(PARENT)

    assert trace == Trace(*IDS, 1)
    assert trace is not None
    assert trace.is_sampled
    assert trace.parent == PARENT


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert read_trace(f"cc-{IDS[0]}-{IDS[1]}-03-what-comes-later") == Trace(*IDS, 1)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "garbage",
        PARENT.upper(),
        PARENT + "-more",
        f"ff-{IDS[0]}-{IDS[1]}-01",
        f"00-{'0' * 32}-{IDS[1]}-01",
        f"00-{IDS[0]}-{'0' * 16}-01",
        f"00-{IDS[0]}-{IDS[1]}",
        f"00-{IDS[0]}-{IDS[1]}-0x",
        f"cc-{IDS[0]}-{IDS[1]}-01-" + "x" * 600,
        PARENT + "\n",
        "٠٠-" + PARENT[3:],
    ],
)
def test_what_is_no_traceparent_is_none(text: object) -> None:
    assert read_trace(text) is None


def test_of_a_baggage_only_what_is_allowed_travels_on() -> None:
    header = "gen_ai.agent.name=a%20clerk;secret=1, api_key=hunter2 ,gen_ai.conversation.id = c-1,other"

    kept = read_baggage(header, ALLOWED)

    assert kept == "gen_ai.agent.name=a%20clerk,gen_ai.conversation.id=c-1"
    assert baggage_items(kept) == {"gen_ai.agent.name": "a clerk", "gen_ai.conversation.id": "c-1"}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "gen_ai.agent.name=" + "x" * 300,
        "gen_ai.agent.name=tab\there",
        "gen_ai.agent.name=\u00fc",
        "gen_ai.agent.name=",
        "gen_ai.agent.name=a," * 3000,
    ],
)
def test_a_baggage_that_is_too_long_or_not_plain_is_left_out(header: object) -> None:
    assert read_baggage(header, ALLOWED) == ""


def test_of_more_baggage_than_may_travel_the_first_members_do() -> None:
    allowed = {f"key{n}" for n in range(16)}

    kept = read_baggage(",".join(f"key{n}={'v' * 100}" for n in range(16)), allowed)

    assert list(baggage_items(kept)) == ["key0", "key1", "key2", "key3"]


def test_an_event_keeps_its_trace_and_baggage_in_the_store() -> None:
    trace = Trace(*IDS, 1, "gen_ai.agent.name=clerk")

    made = EventInput.of("stream.resumed", StreamResumed()).under(trace)
    event = decode_entry(3, 0, made.encode())

    assert event.context == trace
    assert made.under(new_trace()) == made


def test_every_process_gives_a_turn_the_same_span() -> None:
    trace = Trace(*IDS, 1)

    assert agent_span(trace, "app:a", 1) == agent_span(trace, "app:a", 1)
    assert agent_span(trace, "app:a", 1).trace_id == trace.trace_id
    assert len({agent_span(trace, "app:a", n).span_id for n in range(100)} | {IDS[1]}) == 101


def test_without_an_exporter_a_trace_goes_on_as_it_came() -> None:
    trace = Trace(*IDS, 1)

    assert NoTracer().begin("advance", parent=trace).trace == trace
    begun = NoTracer().begin("POST /api/prompts").trace
    assert not begun.is_sampled
    assert read_trace(begun.parent) == begun


def test_a_thread_works_for_a_trace_only_as_long_as_the_work_lasts() -> None:
    work_for(None)
    with within(NoTracer().begin("append", parent=Trace(*IDS)), "app:a"):
        assert (current(), session()) == (Trace(*IDS), "app:a")
    assert (current(), session()) == (None, "")
    with caused_by(Trace(*IDS)):
        work_for(Trace(*IDS), "app:b")
    assert (current(), session()) == (None, "")
