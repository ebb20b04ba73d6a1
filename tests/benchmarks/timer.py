"""Timers: how long after a debounce window closed its turn starts. Windows that the committing worker arms
itself, and longer ones that a relay finds first.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.figures import Conditions, Figure, NotMeasured, percentile, spread
from tests.benchmarks.load import Plan, prompts, send
from tests.benchmarks.platform import Platform, run_platform

WINDOWS_MS = {"near": 400, "far": 3000}
RATE_PER_S = 20
SAMPLES = 400


def measure_timer(conditions: Conditions) -> Sequence[Figure]:
    """Debounced prompts at 20 a second, half of each window; from the window's end to `turn.started`."""
    config = "".join(f"[agents.{name}]\ndebounce_ms = {ms}\n" for name, ms in WINDOWS_MS.items())
    with run_platform(conditions.scratch, config=config) as platform:
        late = {name: _late_ms(platform, name, conditions.count(SAMPLES // 2)) for name in WINDOWS_MS}
    p99s = (f"{name} ({WINDOWS_MS[name]} ms) {percentile(values, 99):.0f}" for name, values in late.items())
    every = [value for values in late.values() for value in values]
    return spread("timer lateness", every, bounds=(None, 100), note=f"p99 {', '.join(p99s)}")


def _late_ms(platform: Platform, agent: str, count: int) -> list[float]:
    plan = Plan(
        port=platform.port,
        token=platform.token,
        prompts=prompts(count, agent=agent),
        rate_per_s=RATE_PER_S,
        connections=16,
    )
    report = send(plan)
    platform.wait_until_nothing_is_owed()
    return [_after_window_ms(platform, each.session, WINDOWS_MS[agent]) for each in report.sent]


def _after_window_ms(platform: Platform, session: str, window_ms: int) -> float:
    at = {event.type: event.created_at for event in platform.events(session)}
    if "turn.started" not in at:
        raise NotMeasured("a debounced turn did not start")
    return at["turn.started"] - at["input.received"] - window_ms
