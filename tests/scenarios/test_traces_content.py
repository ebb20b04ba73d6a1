"""What people wrote, on spans: only where somebody asked for it, and never what looks like a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.fakes.otlp_server import Collector
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.scenarios.test_traces import ask, one, whole
from tests.scenarios.vendor import calls, said

KEY = "sk-proj-abcdefghijklmnop0123"
CONFIG = """
[agents.default]
system_prompt = "You know capitals."
"""

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(params=["full", "redacted"])
def platform(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, collector: Collector
) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        config=CONFIG,
        environment={
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "TURNWRIGHT_TRACE_CONTENT": request.param,
        },
    )
    with running_platform(tmp_path_factory.mktemp("content"), setup) as running:
        yield running


def test_a_span_tells_as_much_of_the_words_as_was_asked_for(platform: Platform, collector: Collector) -> None:
    is_full = platform.setup.environment["TURNWRIGHT_TRACE_CONTENT"] == "full"
    session = Session(platform)
    platform.vendor.will(session.id, calls(("look_up", '{"country": "France"}')), said("It is Paris"))

    trace = ask(session, f"which one? my key is {KEY}")

    spans = whole(collector, trace, "invoke_agent default", "execute_tool look_up")
    first, second = [each for each in spans if each.name == "chat tiny"]
    [asked] = json.loads(str(first.attributes["gen_ai.input.messages"]))
    shown = "which one? my key is [secret]" if is_full else f"[{len(KEY) + 21} characters]"
    assert asked == {"role": "user", "parts": [{"type": "text", "content": shown}]}
    [answered] = json.loads(str(second.attributes["gen_ai.output.messages"]))
    assert answered["parts"][0]["content"] == ("It is Paris" if is_full else "[11 characters]")
    [system] = json.loads(str(first.attributes["gen_ai.system_instructions"]))
    assert ("capitals" in json.dumps(system)) == is_full
    tool = one(spans, "execute_tool look_up")
    assert ("France" in str(tool.attributes["gen_ai.tool.call.arguments"])) == is_full
    assert (tool.attributes["gen_ai.tool.call.result"] == "Paris") == is_full
    told = b"".join(collector.raw)
    assert KEY.encode() not in told
    assert (b"Paris" in told) == is_full
