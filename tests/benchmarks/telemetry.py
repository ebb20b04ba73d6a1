"""What telemetry costs: the same turns on two platforms in alternating rounds, one of which exports."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

from tests.benchmarks.attendants import Attendant, ask, attendant
from tests.benchmarks.figures import Conditions, Figure, NotMeasured
from tests.benchmarks.platform import installed, run_configured
from tests.benchmarks.side import Pair, Side, alternate

TURNS = 1000
CLIENTS = 32
ROUNDS = 6
WARM_UP = 200
MOST_LOST_PERCENT = 15


class Exported(msgspec.Struct, frozen=True):
    """What the collector got: exports and their bytes, by path."""

    exports: dict[str, int]
    bytes: dict[str, int]


def measure_telemetry(conditions: Conditions) -> Sequence[Figure]:
    """1,000 turns from 32 clients a round, with and without export of traces and metrics over OTLP."""
    scratch, turns = conditions.scratch, conditions.count(TURNS, least=200)
    with (
        attendant("tests.benchmarks.vendor") as model,
        attendant("tests.benchmarks.sink") as sink,
        attendant("tests.benchmarks.collector") as collector,
    ):
        silent = {
            "TURNWRIGHT_MODEL": "brisk:echo",
            "TURNWRIGHT_CALLBACK_ALLOW": "127.0.0.1",
            "BRISK_BASE_URL": model.url,
            "PYTHONPATH": str(installed("brisk_provider", scratch)),
        }
        telling = silent | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        }
        with run_configured(scratch, telling) as one, run_configured(scratch, silent) as other:
            sides = Side("exporting", one, sink.url), Side("silent", other, sink.url)
            alternate(*sides, rounds=2, turns=WARM_UP, clients=CLIENTS)
            pairs = alternate(*sides, rounds=conditions.count(ROUNDS, least=2), turns=turns, clients=CLIENTS)
        exported = _exported(collector)
    return _figures(pairs, turns, exported)


def _figures(pairs: Sequence[Pair], turns: int, exported: Exported) -> list[Figure]:
    lost = 100 * (1 - statistics.median(pair.ratio(lambda each: each.turns_per_s) for pair in pairs))
    cpu_ms = statistics.median(pair.one.whole_cpu_ms - pair.other.whole_cpu_ms for pair in pairs)
    kb = sum(exported.bytes.values()) / 1000 / (len(pairs) * turns + 2 * WARM_UP)
    return [
        Figure(
            name="telemetry: turns/s lost",
            value=lost,
            unit="%",
            samples=len(pairs) * turns,
            bound=MOST_LOST_PERCENT,
            note=f"{cpu_ms:+.2f} ms CPU and {kb:.1f} kB exported a turn",
        )
    ]


def _exported(collector: Attendant) -> Exported:
    exported = msgspec.json.decode(ask(collector.url, "/count"), type=Exported)
    if not exported.exports.get("/v1/traces"):
        raise NotMeasured("no trace was exported")
    return exported
