"""Traces where only relays find work: the turn's trace goes on, and what a relay did is linked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.otlp_server import Collector
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.scenarios.test_traces import ask, one, whole
from tests.scenarios.vendor import calls, said

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture
def platform(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        environment={
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "TURNWRIGHT_TEST_SHORTCUTS": "0",
        },
    )
    with running_platform(tmp_path_factory.mktemp("relayed"), setup) as running:
        yield running


def test_what_a_relay_found_belongs_to_its_event_and_links_to_the_relays_hint(
    platform: Platform, collector: Collector
) -> None:
    session = Session(platform)
    platform.vendor.will(session.id, calls(("look_up", '{"country": "France"}')), said("Paris"))

    trace = ask(session, "look")

    session.settled(within_s=30)
    spans = whole(collector, trace, "POST /api/prompts", "invoke_agent default", "execute_tool look_up")
    assert "send turnwright.advance" not in {each.name for each in spans}
    worked = [each for each in spans if each.name == "advance" or each.name.startswith(("chat ", "execute_"))]
    for each in worked:
        [(other, hint)] = each.links
        assert other != trace
        collector.wait_for(lambda all, hint=hint: any(span.id == hint for span in all))  # type: ignore[misc]  # mypy can not infer a default of a lambda
        relayed = [span for span in collector.of(other) if span.name.startswith("process turnwright.")]
        assert [span.id for span in relayed] == [hint]
    turn = one(spans, "invoke_agent default")
    inside = {each.name for each in spans if each.parent == turn.id}
    assert inside == {"advance", "chat tiny", "execute_tool look_up"}
