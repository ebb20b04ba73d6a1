"""Turns of the built-in vendors through the whole platform: their words on the wire, ours in the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from services.llm.provider import Finished, TextDelta, TokenUsage, ToolCallRequest
from services.streams.vocabulary import LLMSettled, ToolSettled
from tests.fakes.llm_anthropic import KEY as ANTHROPIC_KEY
from tests.fakes.llm_anthropic import Messages
from tests.fakes.llm_openai import KEY as OPENAI_KEY
from tests.fakes.llm_openai import ChatCompletions
from tests.fakes.llm_scripts import Answer, Script, Stall, Status
from tests.fakes.llm_server import LLMServer, Recorded
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform

CONFIG = """
[agents.default]
tools = ["clock"]

[agents.claude]
tools = ["clock"]
model = "anthropic:claude-x"

[agents.either]
tools = ["clock"]
model = ["openai:gpt-4o", "anthropic:claude-sonnet-4-5"]
max_usd_per_hour = 1
"""
AGENTS = pytest.mark.parametrize(("agent", "model"), [("default", "gpt-x"), ("claude", "claude-x")])
CANARY = "canary-in-a-prompt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The platform and its two vendors, by agent."""

    platform: Platform
    vendors: dict[str, LLMServer]


def asks_the_clock(recorded: Recorded) -> Script:
    """Call the tool `clock`, and repeat what it says."""
    last = recorded.asked.messages[-1]
    if last.role == "tool":
        usage = TokenUsage(input=20, output=4, cached=5, cache_write=3, reasoning=1)
        end = Finished(reason="stop", model=recorded.asked.model)
        return Answer(pieces=(TextDelta("The clock: "), TextDelta(last.text), usage, end))
    call = ToolCallRequest(id="call_1", name="clock", arguments='{"timezone": "Europe/Vienna"}')
    usage = TokenUsage(input=10, output=2)
    return Answer(pieces=(call, usage, Finished(reason="tool_calls", model=recorded.asked.model)))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with ExitStack() as held:
        openai = held.enter_context(LLMServer(ChatCompletions(), respond=asks_the_clock))
        anthropic = held.enter_context(LLMServer(Messages(), respond=asks_the_clock))
        folder = tmp_path_factory.mktemp("models")
        (folder / "key").write_text(ANTHROPIC_KEY)
        environment = {
            "TURNWRIGHT_MODEL": "openai:gpt-x",
            "OPENAI_API_KEY": OPENAI_KEY,
            "OPENAI_BASE_URL": f"{openai.url}/v1",
            "OPENAI_LOG": "debug",
            "ANTHROPIC_API_KEY_FILE": str(folder / "key"),
            "ANTHROPIC_BASE_URL": anthropic.url,
            "ANTHROPIC_LOG": "debug",
            "TURNWRIGHT_LOG_LEVEL": "debug",
        }
        setup = Setup(site=installed_site(tmp_path_factory), config=CONFIG, environment=environment)
        platform = held.enter_context(running_platform(folder, setup))
        yield Stage(platform=platform, vendors={"default": openai, "claude": anthropic})
        logs = platform.logs()
        assert not any(secret in logs for secret in (CANARY, OPENAI_KEY, ANTHROPIC_KEY))


@AGENTS
def test_a_turn_calls_a_tool_and_answers_with_what_it_said(stage: Stage, agent: str, model: str) -> None:
    session = Session(stage.platform, agent=agent)
    session.say(f"What time is it? {CANARY}")

    (turn,) = session.settled(within_s=30)

    (ran,) = session.all("tool.settled", ToolSettled)
    assert turn.text == f"The clock: {ran.result}"
    assert "Europe/Vienna" in ran.result
    first, second = session.all("llm.settled", LLMSettled)
    assert (first.model, second.model) == (model, model)
    assert (second.usage.input, second.usage.output, second.usage.cached) == (20, 4, 5)
    assert (second.usage.cache_write, second.usage.reasoning) == (3, 1)
    assert stage.vendors[agent].faults == []


def test_when_one_vendor_is_overloaded_the_other_answers_at_once_and_each_at_its_own_price(
    stage: Stage,
) -> None:
    openai, anthropic = stage.vendors["default"], stage.vendors["claude"]
    openai.will(Status(status=429, retry_after="30"))
    asked = len(anthropic.requests)
    session = Session(stage.platform, agent="either")
    session.say(f"What time is it? {CANARY}")

    (turn,) = session.settled(within_s=15)

    assert turn.outcome == "answered"
    assert len(anthropic.requests) == asked + 1
    runs = [stage.platform.http.get(f"/api/runs/{session.id}@{n}").json() for n in (1, 2)]
    assert [[each["model"] for each in run["attempts"]] for run in runs] == [
        ["openai:gpt-4o", "anthropic:claude-sonnet-4-5"],
        ["openai:gpt-4o"],
    ]
    assert runs[0]["attempts"][0]["code"] == "http_429"
    # 10 x 3 + 2 x 15, and 12 x 2.50 + 5 x 1.25 + 3 x 2.50 + 4 x 10, rounded up.
    assert [run["usage"]["cost_microusd"] for run in runs] == [60, 84]
    assert turn.usage.cost_microusd == 144


@AGENTS
def test_a_cancel_over_http_shuts_the_vendors_connection(stage: Stage, agent: str, model: str) -> None:
    vendor = stage.vendors[agent]
    disconnects, asked = vendor.disconnects, len(vendor.requests)
    vendor.will(Stall(after=0))
    session = Session(stage.platform, agent=agent)
    session.say("Tell me a long story")
    assert vendor.wait_for(lambda fake: len(fake.requests) > asked, within_s=30)

    assert session.command("cancel") in (200, 202)

    (turn,) = session.settled()
    assert turn.outcome == "cancelled"
    assert vendor.wait_for(lambda fake: fake.disconnects > disconnects)
