"""Load on the platform: what to send, sent by a process of its own, and what came of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec

from tests.benchmarks.figures import NotMeasured

ROOT = Path(__file__).parents[2]


class PromptBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A prompt as the API takes it."""

    text: str
    agent: str = ""
    callback: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to send, and how. Every prompt gets a session of its own, and with `keys` an idempotency key
    that begins with it.

    `rate_per_s`: each prompt has a time to be sent at, over at most `connections`; 0: each of the
    connections sends its next prompt when the last one is accepted.
    """

    port: int
    token: str
    prompts: list[PromptBody]
    rate_per_s: float
    connections: int
    keys: str = ""


class Sent(msgspec.Struct, kw_only=True):
    """One prompt. `latency_ms` counts from `due_s`, when it was to be sent; it was sent `late_ms` later."""

    due_s: float
    late_ms: float = 0.0
    latency_ms: float = 0.0
    status: int = 0
    session: str = ""
    offset: int = 0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Every prompt of a plan, and what sending them cost the generator.

    `began`: the zero of its times, on the system's monotonic clock.
    """

    began: float
    sent: list[Sent]
    wall_s: float
    cpu_s: float

    @property
    def own_cost(self) -> str:
        """What the generator took of one core, and how late it was at worst."""
        late = max(each.late_ms for each in self.sent)
        return f"generator {self.cpu_s / self.wall_s:.0%} of a core, at most {late:.1f} ms late"


def prompts(count: int, *, agent: str = "", callback: str = "", first: int = 0) -> list[PromptBody]:
    """`count` short prompts about orders, numbered from `first` on."""
    return [
        PromptBody(text=f"What is the state of order {order}?", agent=agent, callback=callback)
        for order in range(first, first + count)
    ]


def send(plan: Plan) -> Report:
    """Send a plan. Raises: NotMeasured unless every prompt was accepted."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.generator"],
        input=msgspec.json.encode(plan),
        capture_output=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        raise NotMeasured(f"the load generator failed: {done.stderr.decode().strip()[-200:]}")
    report = msgspec.json.decode(done.stdout, type=Report)
    refused = [each.status for each in report.sent if each.status != 202]
    if refused:
        raise NotMeasured(f"{len(refused)} of {len(report.sent)} prompts were not accepted: {refused[:5]}")
    return report
