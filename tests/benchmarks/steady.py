"""One steady stream of prompts, 50 a second in an open loop: how soon they are acknowledged and answered."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from tests.benchmarks.figures import Conditions, Figure, NotMeasured, spread
from tests.benchmarks.load import Plan, Report, prompts, send
from tests.benchmarks.platform import STUB_DELAY_MS, Platform, PlatformEvent, run_platform

RATE_PER_S = 50
SAMPLES = 2000
WARM_UP = 150
CONNECTIONS = 64


def measure_ack(conditions: Conditions) -> Sequence[Figure]:
    """From when a prompt was to be sent until its 202 is read."""
    acks, _, report = _run(conditions)
    return spread("ack", acks, bounds=(3, 10), note=report.own_cost)


def measure_turn(conditions: Conditions) -> Sequence[Figure]:
    """From the acknowledged input to the settled turn, less the time the model takes; store's clock."""
    _, overheads, _ = _run(conditions)
    return spread("turn overhead", overheads, bounds=(10, 30), note=f"at {RATE_PER_S} turns/s")


def overhead_ms(events: Sequence[PlatformEvent]) -> float:
    """What the platform added to the one turn of a session."""
    at = {event.type: event.created_at for event in events}
    if "turn.settled" not in at:
        raise NotMeasured("a turn was not settled")
    return at["turn.settled"] - at["input.received"] - STUB_DELAY_MS


@cache
def _run(conditions: Conditions) -> tuple[list[float], list[float], Report]:
    with run_platform(conditions.scratch) as platform:
        _send(platform, WARM_UP)
        report = _send(platform, conditions.count(SAMPLES))
        platform.wait_until_nothing_is_owed()
        overheads = [overhead_ms(platform.events(each.session)) for each in report.sent]
    return [each.latency_ms for each in report.sent], overheads, report


def _send(platform: Platform, count: int) -> Report:
    return send(
        Plan(
            port=platform.port,
            token=platform.token,
            prompts=prompts(count),
            rate_per_s=RATE_PER_S,
            connections=CONNECTIONS,
        )
    )
