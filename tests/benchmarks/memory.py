"""What 200 answers that stream at once take of one worker process, an official SDK loaded."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec
import psutil

from services.diagnosis.roles import read_roles
from tests.benchmarks.attendants import Attendant, ask, attendant
from tests.benchmarks.figures import Conditions, Figure, NotMeasured
from tests.benchmarks.load import Plan, Report, prompts, send
from tests.benchmarks.platform import Platform, cpu_s_of, run_configured

STREAMS = 200
CHUNKS_PER_S = 10
SECONDS = 30
# 200 for models, and the twelve threads that models never get.
SLOTS = 212
MOST_MB = 200
_LOOK_EVERY_S = 0.5
_TIME_TO_FILL_S = 30.0


class Flowing(msgspec.Struct, frozen=True):
    """What the model says: answers it is streaming now, and chunks sent so far."""

    now: int
    chunks: int


def measure_memory(conditions: Conditions) -> Sequence[Figure]:
    """200 streams of 10 chunks/s for half a minute through the OpenAI SDK, in one worker process."""
    seconds = conditions.count(SECONDS, least=8)
    options = ("--gap-ms", str(1000 / CHUNKS_PER_S), "--chunks", str(seconds * CHUNKS_PER_S))
    with attendant("tests.benchmarks.vendor", "--dialect", "openai", *options) as model:
        given = {
            "TURNWRIGHT_MODEL": "openai:echo",
            "OPENAI_BASE_URL": f"{model.url}/v1",
            "OPENAI_API_KEY": "none-needed",
            "TURNWRIGHT_WORKERS": "1",
            "TURNWRIGHT_SLOTS": str(SLOTS),
        }
        with run_configured(conditions.scratch, given) as platform, ThreadPoolExecutor(1) as pool:
            worker = _worker(platform)
            at_rest = _pss_mb(worker)
            sending = pool.submit(_send, platform)
            _wait_until_full(model, sending)
            before = (time.monotonic(), cpu_s_of(worker), _flowing(model))
            samples = _watch(worker, model)
            after = (time.monotonic(), cpu_s_of(worker), _flowing(model))
            platform.wait_until_nothing_is_owed()
    wall_s = after[0] - before[0]
    rate = (after[2].chunks - before[2].chunks) / wall_s
    note = f"{at_rest:.0f} MB at rest; {rate:.0f} chunks/s, {(after[1] - before[1]) / wall_s:.0%} of a core"
    return [
        Figure(
            name=f"worker with {STREAMS} streams, PSS",
            value=max(samples),
            unit="MB",
            samples=len(samples),
            bound=MOST_MB,
            note=note,
        )
    ]


def _send(platform: Platform) -> Report:
    return send(
        Plan(
            port=platform.port,
            token=platform.token,
            prompts=prompts(STREAMS),
            rate_per_s=0,
            connections=16,
        )
    )


def _worker(platform: Platform) -> psutil.Process:
    roles: Mapping[str, int | None] = {name: role.pid for name, role in read_roles(platform.home).items()}
    found = [pid for name, pid in roles.items() if name.startswith("worker") and pid is not None]
    if len(found) != 1:
        raise NotMeasured(f"there are {len(found)} worker processes instead of one")
    return psutil.Process(found[0])


def _wait_until_full(model: Attendant, sending: Future[Report]) -> None:
    sending.result()
    deadline = time.monotonic() + _TIME_TO_FILL_S
    while (flowing := _flowing(model).now) < STREAMS:
        if time.monotonic() > deadline:
            raise NotMeasured(f"only {flowing} of {STREAMS} answers are streamed at once")
        time.sleep(_LOOK_EVERY_S / 10)


def _watch(worker: psutil.Process, model: Attendant) -> list[float]:
    samples = [_pss_mb(worker)]
    while _flowing(model).now == STREAMS:
        samples.append(_pss_mb(worker))
        time.sleep(_LOOK_EVERY_S)
    return samples


def _flowing(model: Attendant) -> Flowing:
    return msgspec.json.decode(ask(model.url, "/flowing"), type=Flowing)


def _pss_mb(process: psutil.Process) -> float:
    if not psutil.LINUX:
        raise NotMeasured("only Linux tells how much memory is a process's own")
    return float(process.memory_full_info().pss) / 1024**2
