"""Traces as a collector sees them: whole trees, from the request to the reply, whatever died in between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.fakes.callback_server import CallbackServer
from tests.fakes.otlp_server import Collector, Span, check_tree
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.scenarios.vendor import calls, said
from tests.worker.waiting import wait_until

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
CONFIG = """
[agents.slow]
debounce_ms = 400
"""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def callback() -> Iterator[CallbackServer]:
    with CallbackServer() as running:
        yield running


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        config=CONFIG,
        workers=2,
        workers_may_die=True,
        environment={
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "TURNWRIGHT_CALLBACK_ALLOW": "127.0.0.1",
        },
    )
    with running_platform(tmp_path_factory.mktemp("traces"), setup) as running:
        yield running


def ask(session: Session, text: str, *, trace: str = "", **fields: str) -> str:
    """Send a prompt, as part of `trace` of a caller; the trace it belongs to."""
    headers = {"traceparent": f"00-{trace}-{CALLER}-01"} if trace else {}
    body = {"text": text, "session": session.id, **fields}
    answer = session.platform.http.post("/api/prompts", json=body, headers=headers)
    assert answer.status_code == 202, answer.text
    offset = int(answer.json()["offset"])
    asked = session.platform.http.get(f"{session.path}/events", params={"after": offset - 1, "limit": 1})
    return str(asked.json()["events"][0]["trace_id"])


def whole(
    collector: Collector, trace: str, *names: str, outside: str = "", within_s: float = 15.0
) -> list[Span]:
    """The spans of a trace once all of `names` are there and it is a tree."""

    def is_there() -> bool:
        spans = collector.of(trace)
        if not set(names) <= {each.name for each in spans}:
            return False
        ids = {each.id for each in spans} | {"", outside}
        return all(each.parent in ids for each in spans)

    try:
        wait_until(is_there, within_s=within_s)
    except AssertionError:
        raise AssertionError([(each.name, each.id, each.parent) for each in collector.of(trace)]) from None
    spans = collector.of(trace)
    check_tree(spans, outside=outside)
    return spans


def one(spans: list[Span], name: str) -> Span:
    """The only span of a name."""
    [found] = [each for each in spans if each.name == name]
    return found


def test_a_turn_is_one_trace_from_the_callers_request_to_the_reply(
    platform: Platform, collector: Collector, callback: CallbackServer
) -> None:
    session = Session(platform)

    assert ask(session, "hello", trace=TRACE, callback=f"{callback.url}/one") == TRACE

    [settled] = session.settled()
    spans = whole(
        collector,
        TRACE,
        "POST /api/prompts",
        "append",
        "send turnwright.advance",
        "process turnwright.advance",
        "advance",
        "invoke_agent default",
        "chat tiny",
        "deliver http",
        outside=CALLER,
    )
    parents = {each.name: next((p.name for p in spans if p.id == each.parent), "") for each in spans}
    assert parents["append"] == "POST /api/prompts"
    assert parents["send turnwright.advance"] == "append"
    assert parents["process turnwright.advance"] == "send turnwright.advance"
    assert parents["invoke_agent default"] == "append"
    assert parents["chat tiny"] == "invoke_agent default"
    assert settled.trace_id == TRACE
    wait_until(lambda: bool(callback.to("/one")))
    [received] = callback.to("/one")
    assert received.headers["traceparent"] == f"00-{TRACE}-{one(spans, 'deliver http').id}-01"
    assert "baggage" not in received.headers
    assert {each.role for each in spans} == {"web", "worker"}


def test_a_model_call_says_what_the_conventions_ask_for(platform: Platform, collector: Collector) -> None:
    session = Session(platform)

    trace = ask(session, "three words here")

    chat = one(whole(collector, trace, "invoke_agent default", "chat tiny"), "chat tiny")
    assert chat.kind == "client"
    wanted = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "acme",
        "gen_ai.request.model": "tiny",
        "gen_ai.response.model": "tiny",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4,
        "gen_ai.conversation.id": session.id,
        "session.id": session.id,
        "turnwright.job.attempt": 1,
    }
    assert wanted.items() <= chat.attributes.items()
    assert isinstance(chat.attributes["gen_ai.response.time_to_first_chunk"], float)
    assert not chat.is_error


def test_a_tool_call_is_part_of_its_turn(platform: Platform, collector: Collector) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, calls(("look_up", '{"country": "France"}')), said("Paris"))

    trace = ask(session, "look")

    spans = whole(collector, trace, "invoke_agent default", "execute_tool look_up")
    turn = one(spans, "invoke_agent default")
    assert {each.name for each in spans if each.parent == turn.id} == {"chat tiny", "execute_tool look_up"}
    tool = one(spans, "execute_tool look_up")
    assert tool.attributes["gen_ai.tool.call.id"] == "call-0"
    assert turn.began <= tool.began <= tool.ended <= turn.ended
    assert turn.attributes["gen_ai.usage.input_tokens"] == sum(
        int(str(each.attributes["gen_ai.usage.input_tokens"])) for each in spans if each.name == "chat tiny"
    )


def test_a_turn_stays_one_tree_when_its_worker_is_killed_in_the_middle(
    platform: Platform, collector: Collector
) -> None:
    session = Session(platform)
    died = platform.arm("llm.streaming")

    trace = ask(session, "survive this")

    wait_until(died)
    wait_until(lambda: bool(platform.revive()) or bool(session.events("turn.settled")))
    session.settled(within_s=30)
    platform.wait_ready(workers=2)
    spans = whole(collector, trace, "invoke_agent default", "chat tiny")
    chat = one(spans, "chat tiny")
    assert chat.attributes["turnwright.job.attempt"] == 2
    assert isinstance(chat.attributes["turnwright.lease.wait_ms"], int)
    # What found it again is another trace, which is linked.
    [link] = chat.links
    assert link[0] != trace
    collector.wait_for(lambda all: any(each.id == link[1] for each in all))


def test_with_the_broker_emptied_the_turn_goes_on_in_the_same_trace(
    platform: Platform, collector: Collector
) -> None:
    session = Session(platform)
    for name in ("worker-1", "worker-2"):
        platform.parts[name].stop()
    trace = ask(session, "nobody is told")
    with closing(platform.broker_client()) as broker:
        broker.flushall()
    for name in ("worker-1", "worker-2"):
        platform.start_worker(name)

    session.settled(within_s=30)

    platform.wait_ready(workers=2)
    whole(collector, trace, "POST /api/prompts", "advance", "invoke_agent default", "chat tiny")


def test_a_debounced_turn_keeps_the_trace_of_its_input_and_tells_its_wait(
    platform: Platform, collector: Collector
) -> None:
    session = Session(platform, agent="slow")

    trace = ask(session, "wait for more", agent="slow")

    spans = whole(collector, trace, "invoke_agent slow", "chat tiny")
    waits = [
        each.attributes["turnwright.debounce.wait_ms"]
        for each in spans
        if "turnwright.debounce.wait_ms" in each.attributes
    ]
    assert len(waits) == 1
    assert int(str(waits[0])) >= 400


def test_turns_that_follow_each_other_have_traces_of_their_own(
    platform: Platform, collector: Collector
) -> None:
    session = Session(platform)
    gate = platform.vendor.hold(session.id)
    first = ask(session, "one")
    gate.wait_entered()
    second = ask(session, "two")
    gate.open()

    settled = session.settled(2)

    assert [each.trace_id for each in settled] == [first, second]
    for trace in (first, second):
        spans = whole(collector, trace, "POST /api/prompts", "invoke_agent default", "chat tiny")
        assert len([each for each in spans if each.name == "chat tiny"]) == 1


def test_a_burst_over_many_sessions_is_as_many_whole_traces(platform: Platform, collector: Collector) -> None:
    sessions = [Session(platform) for _ in range(30)]

    traces = [ask(each, "all at once") for each in sessions]

    for session, trace in zip(sessions, traces, strict=True):
        session.settled()
        spans = whole(collector, trace, "POST /api/prompts", "advance", "invoke_agent default", "chat tiny")
        assert {each.attributes.get("session.id", session.id) for each in spans} == {session.id}
        for each in spans:
            assert all(link[0] != trace for link in each.links)


def test_no_name_of_a_span_holds_an_id(platform: Platform, collector: Collector) -> None:
    session = Session(platform)
    trace = ask(session, "names")
    platform.http.get(f"{session.path}/events")
    whole(collector, trace, "invoke_agent default")

    for name in {each.name for each in collector.spans}:
        assert not re.search(r"[0-9a-f]{8}|app:|prompt:|@", name), name


@pytest.mark.parametrize("parent", ["garbage", "", f"00-{'0' * 32}-{CALLER}-01", "x" * 5000])
def test_a_callers_bad_context_begins_a_new_trace(
    platform: Platform, collector: Collector, parent: str
) -> None:
    session = Session(platform)
    answer = platform.http.post(
        "/api/prompts",
        json={"text": "hi", "session": session.id},
        headers={"traceparent": parent, "baggage": parent},
    )
    assert answer.status_code == 202

    [settled] = session.settled()

    assert re.fullmatch(r"[0-9a-f]{32}", settled.trace_id)
    whole(collector, settled.trace_id, "POST /api/prompts", "invoke_agent default")


def test_allowed_baggage_reaches_every_span_and_nothing_else_does(
    platform: Platform, collector: Collector
) -> None:
    session = Session(platform)
    platform.http.post(
        "/api/prompts",
        json={"text": "hi", "session": session.id},
        headers={"baggage": "gen_ai.agent.name=outer%20one,canary=leak-me,gen_ai.conversation.id=theirs"},
    )

    [settled] = session.settled()

    spans = whole(collector, settled.trace_id, "POST /api/prompts", "invoke_agent default", "chat tiny")
    assert one(spans, "append").attributes["gen_ai.agent.name"] == "outer one"
    assert one(spans, "chat tiny").attributes["gen_ai.agent.name"] == "outer one"
    assert one(spans, "chat tiny").attributes["gen_ai.conversation.id"] == session.id
    assert not any(b"leak-me" in body for body in collector.raw)


def test_a_caller_who_does_not_record_is_not_recorded(platform: Platform, collector: Collector) -> None:
    session, trace = Session(platform), "1" * 32
    answer = platform.http.post(
        "/api/prompts",
        json={"text": "hi", "session": session.id},
        headers={"traceparent": f"00-{trace}-{CALLER}-00"},
    )
    assert answer.status_code == 202

    [settled] = session.settled()

    assert settled.trace_id == trace
    whole(collector, ask(Session(platform), "a later one"), "invoke_agent default")
    assert collector.of(trace) == []
