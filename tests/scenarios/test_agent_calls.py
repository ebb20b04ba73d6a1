"""Around the calls of models: failover, caps, cancels across processes, and the record of each run."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest

from services.llm.provider import Finished, TextDelta, TokenUsage
from services.sessions.run_record import RunDetail, RunPage
from services.streams.vocabulary import LLMSettled, StreamPaused
from tests.fakes.llm_scripts import Answer, Cut, Stall, Status
from tests.scenarios.agent_session import Session
from tests.scenarios.cli_calls import Shell
from tests.scenarios.platform import TOKEN, Platform, Setup, installed_site, running_platform
from tests.scenarios.vendor import calls, said
from tests.worker.waiting import wait_until

CANCELLED_WITHIN_MS = 2_000
CONFIG = """
[agents.default]
[agents.thrifty]
max_tokens_per_hour = 30
[agents.poor]
model = "acme:one"
max_usd_per_hour = 0.001
[prices."acme:one"]
input = 10
output = 50
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        config=CONFIG,
        workers=2,
        environment={"TURNWRIGHT_MODEL": "acme:one,acme:two"},
    )
    with running_platform(tmp_path_factory.mktemp("calls"), setup) as running:
        yield running


def costly(text: str, *, input: int, output: int) -> Answer:
    usage = TokenUsage(input=input, output=output)
    return Answer(pieces=(TextDelta(text), usage, Finished(reason="stop", model="fake")))


def asked(session: Session) -> list[str]:
    return [request.model for request in session.platform.vendor.asked(session.id)]


def run_of(session: Session, n: int = 1) -> RunDetail:
    answer = session.platform.http.get(f"/api/runs/{session.id}@{n}")
    assert answer.status_code == 200, answer.text
    return msgspec.json.decode(answer.content, type=RunDetail)


def shell(platform: Platform) -> Shell:
    variables = {"TURNWRIGHT_URL": platform.url, "TURNWRIGHT_API_TOKEN": TOKEN}
    return Shell(home=platform.folder, variables=variables)


def test_when_a_model_is_overloaded_the_next_one_answers_without_waiting(platform: Platform) -> None:
    session = Session(platform)
    refused = Status(status=529, retry_after="60")
    platform.vendor.will(session.id, refused, costly("here", input=7, output=3))
    session.say("hello")

    assert session.settled(within_s=10)[0].text == "here"
    assert asked(session) == ["one", "two"]
    run = run_of(session)
    assert [(each.model, each.outcome, each.code) for each in run.attempts] == [
        ("acme:one", "failed", "http_529"),
        ("acme:two", "succeeded", ""),
    ]
    assert (run.state, run.session, run.turn, run.step) == ("succeeded", session.id, 1, 1)
    assert run.phases.backing_off < 1_000
    assert run.phases.first_token is not None
    assert (run.usage.input, run.usage.output, run.usage.cost_microusd) == (7, 3, None)
    session.wait_idle()


def test_a_run_says_which_tools_it_called_and_costs_what_all_its_attempts_did(platform: Platform) -> None:
    session = Session(platform, agent="poor")
    half = (TokenUsage(input=2, output=1), TextDelta("ha"), TextDelta("lf"), Finished(reason="stop"))
    platform.vendor.will(session.id, Cut(pieces=half, after=2), calls(("clock", "{}")), said("done"))
    session.say("what time is it?")

    assert session.settled()[0].outcome == "answered"
    run = run_of(session)
    assert [(tool.name, tool.effect, tool.outcome) for tool in run.tools] == [
        ("clock", "read_only", "succeeded")
    ]
    first, second = run.attempts
    assert (first.error, first.phase, first.usage.cost_microusd) == ("truncated", "streaming", 70)
    assert second.started_at - (first.ended_at or 0) >= 1_000
    assert run.usage.cost_microusd == 70
    shown = platform.http.get(session.path).json()
    assert shown["usage"]["cost_microusd"] == 70
    session.wait_idle()


@pytest.mark.parametrize(
    ("agent", "told"),
    [("thrifty", "40 of 30 tokens in an hour"), ("poor", "$0.0018 of $0.001 in an hour")],
)
def test_a_session_at_its_cap_asks_nobody_gives_one_notice_and_goes_on_when_resumed(
    platform: Platform, agent: str, told: str
) -> None:
    session = Session(platform, agent=agent)
    platform.vendor.will(session.id, costly("dear", input=5, output=35))
    session.say("first")
    session.settled()
    session.wait_idle()

    session.say("second")
    why = session.wait_why("paused")

    assert why.wait is not None
    assert why.wait.text == f"paused: spend: {told}; `turnwright resume {session.id}` goes on"
    assert [session.post("third").status_code for _ in range(3)] == [409] * 3
    assert session.command("cancel") == 202
    session.settled(2)
    session.wait_why("paused")
    assert len(asked(session)) == 1
    notices = session.all("stream.paused", StreamPaused)
    assert [(notice.reason, notice.by) for notice in notices] == [("spend", "agent")]

    assert shell(platform).run("resume", session.id).status == 0
    session.say("fourth")
    assert session.settled(3)[-1].outcome == "answered"
    assert len(session.events("stream.paused")) == 1
    session.wait_idle()


def test_the_request_that_waits_at_the_cap_is_sent_once_a_person_resumes(platform: Platform) -> None:
    session = Session(platform, agent="thrifty")
    platform.vendor.will(session.id, costly("dear", input=5, output=35))
    session.say("first")
    session.settled()
    session.say("second")
    session.wait_why("paused")
    assert run_of(session, 2).state == "queued"

    assert session.command("resume") == 202

    assert [turn.outcome for turn in session.settled(2)] == ["answered", "answered"]
    assert len(asked(session)) == 2
    session.wait_idle()


def test_a_cancel_through_another_web_process_frees_a_silent_stream_in_any_worker(platform: Platform) -> None:
    # Several at once, so that the holder and whoever decides are different processes.
    sessions = [Session(platform) for _ in range(6)]
    gone = platform.vendor.server.disconnects
    for session in sessions:
        platform.vendor.will(session.id, Stall(after=1))
        session.say("dig here")
    for session in sessions:
        session.wait_why("running_llm")
    platform.parts["web"].kill()
    platform.start_web()
    platform.wait_ready(workers=2)

    for session in sessions:
        assert session.command("cancel") == 202
    for session in sessions:
        session.settled()
        [cancel] = session.events("turn.cancel_requested")
        [settled] = session.events("llm.settled")
        assert settled.created_at - cancel.created_at < CANCELLED_WITHIN_MS
        outcome = settled.decode(LLMSettled)
        assert (outcome.outcome, outcome.error, outcome.text) == ("cancelled", "cancelled", "Hel")
    wait_until(lambda: platform.vendor.server.disconnects == gone + len(sessions))
    for session in sessions:
        session.wait_idle()


def test_the_command_line_lists_runs_and_shows_one(platform: Platform) -> None:
    session = Session(platform, agent="poor")
    session.say("one two")
    session.settled()
    line = shell(platform)

    listed, shown = line.run("runs", session.id), line.run("runs", f"{session.id}@1")
    as_json = json.loads(line.run("runs", f"{session.id}@1", "--json").out)
    page = msgspec.json.decode(line.run("runs", session.id, "--json").out, type=RunPage)

    assert f"{session.id}@1  succeeded  1         acme:one" in listed.out
    assert "attempt 1    acme:one: succeeded, streaming" in shown.out
    assert as_json["usage"]["cost_microusd"] == page.runs[0].usage.cost_microusd == 170
    assert line.run("runs", f"{session.id}@7").status == 1
    assert line.run("runs", f"{session.id}@x").status == 2
    assert line.run("runs", "app:nobody").status == 1
    assert platform.http.get(f"/api/runs/{session.id}@0").status_code == 404
    assert platform.http.get(f"/api/runs/{session.id}@7").status_code == 404
    session.wait_idle()
