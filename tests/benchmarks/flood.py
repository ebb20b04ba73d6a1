"""One stream under 500 appends a second: whether reductions keep up with it, and others are still served."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

import msgspec

from services.settings import embedded_addresses
from services.streams.event import StreamId
from services.streams.keys import Keys
from services.streams.log import Log
from services.streams.store import Store
from tests.benchmarks.appender import Flood
from tests.benchmarks.figures import Conditions, Figure, NotMeasured, percentile
from tests.benchmarks.load import ROOT, Plan, prompts, send
from tests.benchmarks.platform import Platform, run_platform
from tests.benchmarks.steady import overhead_ms

STREAM = StreamId("app:flood")
RATE_PER_S = 500
SECONDS = 20
OTHERS_PER_S = 10
LOOK_EVERY_S = 0.05
# Keeping up: never more than a second behind, at the end at most a tenth. Not starving: a second at worst.
MOST_BEHIND = RATE_PER_S
MOST_BEHIND_AT_END = RATE_PER_S // 10
MOST_LATE_MS = 1000


def measure_flood(conditions: Conditions) -> Sequence[Figure]:
    """500 appends a second for 20 s, every 50th of which starts a turn; beside it 10 turns/s of others."""
    seconds = conditions.count(SECONDS, least=5)
    with run_platform(conditions.scratch) as platform, ThreadPoolExecutor(2) as pool:
        send(_others(platform, 1))
        flooding = pool.submit(_flood, platform, seconds)
        others = pool.submit(send, _others(platform, seconds))
        with closing(Store(embedded_addresses(platform.home)[0])) as store:
            log = Log(store, Keys())
            behind = _watch(log, flooding)
            flood, report = flooding.result(), others.result()
            platform.wait_until_nothing_is_owed()
            settled = log.read(STREAM, limit=flood.turns, types=frozenset({"turn.settled"}))
        if why := platform.why(STREAM):
            raise NotMeasured(f"the flooded stream came to a halt: {why}")
        if len(settled) < flood.turns:
            raise NotMeasured(f"{flood.turns - len(settled)} turns of the flooded stream were never settled")
        overheads = [overhead_ms(platform.events(each.session)) for each in report.sent]
    rate = (
        f"{flood.appended / flood.wall_s:.0f} appends/s, {flood.cpu_s / flood.wall_s:.0%} of a core for them"
    )
    return [
        Figure(
            name="flood: events behind, at most",
            value=max(behind),
            unit="events",
            samples=len(behind),
            bound=MOST_BEHIND,
            note=f"median {percentile(behind, 50):.0f}; {rate}",
        ),
        Figure(
            name="flood: events behind, at the end",
            value=behind[-1],
            unit="events",
            samples=1,
            bound=MOST_BEHIND_AT_END,
        ),
        Figure(
            name="flood: others' turn overhead p99",
            value=percentile(overheads, 99),
            unit="ms",
            samples=len(overheads),
            bound=MOST_LATE_MS,
            note=f"p50 {percentile(overheads, 50):.0f}, max {max(overheads):.0f}",
        ),
    ]


def _others(platform: Platform, seconds: int) -> Plan:
    return Plan(
        port=platform.port,
        token=platform.token,
        prompts=prompts(OTHERS_PER_S * seconds),
        rate_per_s=OTHERS_PER_S,
        connections=32,
    )


def _flood(platform: Platform, seconds: int) -> Flood:
    command = [sys.executable, "-m", "tests.benchmarks.appender", STREAM, str(RATE_PER_S)]
    done = subprocess.run(
        [*command, str(RATE_PER_S * seconds)],
        env=dict(platform.environment),
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise NotMeasured(f"the appender failed: {done.stderr.decode().strip()[-300:]}")
    return msgspec.json.decode(done.stdout, type=Flood)


def _watch(log: Log, flooding: Future[Flood]) -> list[float]:
    """How many events lay behind the checkpoint, again and again until the last append."""
    behind: list[float] = []
    while not flooding.done():
        loaded = log.load(STREAM, limit=0)
        if loaded.head:
            behind.append(loaded.head - loaded.at)
        time.sleep(LOOK_EVERY_S)
    return behind
