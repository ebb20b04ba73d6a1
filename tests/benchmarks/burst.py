"""Throughput: many prompts at once, how many turns a second are settled, and what a turn costs."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.figures import Conditions, Figure, percentile
from tests.benchmarks.load import Plan, Report, prompts, send
from tests.benchmarks.platform import Platform, by_role, run_platform

PROMPTS = 500
CLIENTS = 16


def measure_burst(conditions: Conditions) -> Sequence[Figure]:
    """500 prompts from 16 clients, each as fast as it is answered; nothing is promised of it yet."""
    count = conditions.count(PROMPTS, least=100)
    with run_platform(conditions.scratch) as platform:
        _throw(platform, 100)
        platform.wait_until_nothing_is_owed()
        before = platform.cpu_s()
        report = _throw(platform, count)
        platform.wait_until_nothing_is_owed()
        after = platform.cpu_s()
        at = [{e.type: e.created_at for e in platform.events(each.session)} for each in report.sent]
    began = min(each["input.received"] for each in at)
    accepted_s = (max(each["input.received"] for each in at) - began) / 1000
    settled_s = (max(each["turn.settled"] for each in at) - began) / 1000
    waits = [float(each["turn.settled"] - each["input.received"]) for each in at]
    spent_ms = {role: (used - before.get(role, 0.0)) * 1000 / count for role, used in after.items()}
    return [
        Figure(
            name="burst throughput",
            value=count / settled_s,
            unit="turns/s",
            samples=count,
            note=f"accepted at {count / accepted_s:.0f}/s; {report.own_cost}",
        ),
        Figure(
            name="burst turn p50",
            value=percentile(waits, 50),
            unit="ms",
            samples=count,
            note=f"p99 {percentile(waits, 99):.0f}",
        ),
        Figure(
            name="burst CPU per turn",
            value=sum(spent_ms.values()),
            unit="ms",
            samples=count,
            note=by_role(spent_ms),
        ),
    ]


def _throw(platform: Platform, count: int) -> Report:
    return send(
        Plan(
            port=platform.port,
            token=platform.token,
            prompts=prompts(count),
            rate_per_s=0,
            connections=CLIENTS,
        )
    )
