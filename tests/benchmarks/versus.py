"""Side by side with bare Celery, in one run: how many turns a second, at what cost, how soon.

Both get the same prompts from the same clients, ask the same model by the same client and reply to the same sink,
in alternating rounds; a figure is the median of the rounds' ratios, as other load on the machine hits both.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.benchmarks.attendants import Attendant, attendant
from tests.benchmarks.figures import Conditions, Figure, percentile
from tests.benchmarks.platform import by_role, cpu_s_of, installed, run_configured
from tests.benchmarks.rival import run_rival
from tests.benchmarks.side import Pair, Round, Side, alternate

MODEL_MS = 20
TURNS = 2000
CLIENTS = 32
ROUNDS = 5
SLOW_PER_S = 10
SLOW_TURNS = 100
SLOW_ROUNDS = 3
WARM_UP = 200
# What a baseline may cost before it is no honest one.
MOST_BASELINE_CPU_MS = 3.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Both sides, running, and what is beside them."""

    ours: Side
    bare: Side
    beside: Sequence[Attendant]


def measure_versus(conditions: Conditions) -> Sequence[Figure]:
    """2,000 turns from 32 clients a round, as fast as prompts are accepted; then 10 prompts a second."""
    turns = conditions.count(TURNS, least=200)
    with _contest(conditions) as contest:
        sides = contest.ours, contest.bare
        alternate(*sides, rounds=2, turns=WARM_UP, clients=CLIENTS)
        before = sum(cpu_s_of(each.process) for each in contest.beside)
        fast = alternate(*sides, rounds=conditions.count(ROUNDS, least=2), turns=turns, clients=CLIENTS)
        beside_ms = (sum(cpu_s_of(each.process) for each in contest.beside) - before) * 1000
        slow = alternate(
            *sides,
            rounds=conditions.count(SLOW_ROUNDS, least=2),
            turns=conditions.count(SLOW_TURNS, least=30),
            clients=CLIENTS,
            rate_per_s=SLOW_PER_S,
        )
    beside = f"model and sink {beside_ms / (2 * len(fast) * turns):.2f} ms a turn"
    return [*_fast_figures(fast, turns, beside), *_slow_figures(slow)]


def _fast_figures(pairs: Sequence[Pair], turns: int, beside: str) -> list[Figure]:
    samples = len(pairs) * turns
    bare_ms = _median(pairs, lambda pair: pair.other.whole_cpu_ms)
    last = pairs[-1]
    return [
        Figure(
            name="turns/s against bare Celery",
            value=_median(pairs, lambda pair: pair.ratio(lambda each: each.turns_per_s)),
            unit="x",
            samples=samples,
            least=0.7,
            note=f"{_both(pairs, lambda each: each.turns_per_s)} turns/s; {last.one.generator.own_cost}",
        ),
        Figure(
            name="CPU per turn against bare Celery",
            value=_median(pairs, lambda pair: pair.ratio(lambda each: each.whole_cpu_ms)),
            unit="x",
            samples=samples,
            bound=1.4,
            note=f"{_both(pairs, lambda each: each.whole_cpu_ms)} ms; {by_role(last.one.cpu_ms)}",
        ),
        Figure(
            name="CPU per turn of bare Celery",
            value=bare_ms,
            unit="ms",
            samples=samples,
            bound=MOST_BASELINE_CPU_MS,
            note=f"{by_role(last.other.cpu_ms)}; {beside}",
        ),
        Figure(
            name="ack p50 under load against bare Celery",
            value=_median(pairs, lambda pair: pair.ratio(_ack_p50)),
            unit="x",
            samples=samples,
            note=f"{_both(pairs, _ack_p50)} ms, {CLIENTS} clients",
        ),
    ]


def _slow_figures(pairs: Sequence[Pair]) -> list[Figure]:
    samples = sum(len(pair.one.acks_ms) for pair in pairs)
    return [
        Figure(
            name="turn overhead p50 against bare Celery",
            value=_median(pairs, lambda pair: pair.ratio(_overhead_p50)),
            unit="x",
            samples=samples,
            bound=2.0,
            note=f"{_both(pairs, _overhead_p50)} ms at {SLOW_PER_S}/s",
        ),
        Figure(
            name="ack p50 against bare Celery",
            value=_median(pairs, lambda pair: pair.ratio(_ack_p50)),
            unit="x",
            samples=samples,
            bound=1.0,
            note=f"{_both(pairs, _ack_p50)} ms at {SLOW_PER_S}/s",
        ),
    ]


def _ack_p50(one: Round) -> float:
    return percentile(one.acks_ms, 50)


def _overhead_p50(one: Round) -> float:
    return percentile(one.replies_ms, 50) - MODEL_MS


def _median(pairs: Sequence[Pair], value: Callable[[Pair], float]) -> float:
    return statistics.median(map(value, pairs))


def _both(pairs: Sequence[Pair], value: Callable[[Round], float]) -> str:
    ours = statistics.median(value(pair.one) for pair in pairs)
    bare = statistics.median(value(pair.other) for pair in pairs)
    return f"{ours:.2f} against {bare:.2f}"


@contextmanager
def _contest(conditions: Conditions) -> Iterator[Contest]:
    scratch = conditions.scratch
    with (
        attendant("tests.benchmarks.vendor", "--delay-ms", str(MODEL_MS)) as model,
        attendant("tests.benchmarks.sink") as sink,
    ):
        shared = {"BRISK_BASE_URL": model.url, "PYTHONPATH": str(installed("brisk_provider", scratch))}
        settings = {"TURNWRIGHT_MODEL": "brisk:echo", "TURNWRIGHT_CALLBACK_ALLOW": "127.0.0.1"}
        with run_configured(scratch, shared | settings) as platform, run_rival(scratch, shared) as rival:
            yield Contest(
                ours=Side("ours", platform, sink.url),
                bare=Side("bare Celery", rival, sink.url),
                beside=(model, sink),
            )
