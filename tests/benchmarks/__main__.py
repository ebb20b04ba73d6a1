"""`make bench`: the promised numbers, measured on the real platform and printed beside their bounds.

`python -m tests.benchmarks [NAME ...] [--quick] [--json] [--strict]`. Exit status 1 when something could not be
measured, with --strict also when a figure misses its bound.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from services.errors import TurnwrightError
from tests.benchmarks.burst import measure_burst
from tests.benchmarks.figures import Conditions, Figure, Measurement, NotMeasured, table
from tests.benchmarks.flood import measure_flood
from tests.benchmarks.length import measure_append, measure_session
from tests.benchmarks.memory import measure_memory
from tests.benchmarks.schedule import measure_schedule
from tests.benchmarks.startup import measure_startup
from tests.benchmarks.steady import measure_ack, measure_turn
from tests.benchmarks.telemetry import measure_telemetry
from tests.benchmarks.timer import measure_timer
from tests.benchmarks.versus import measure_versus
from tests.benchmarks.webhooks import measure_webhooks

MEASUREMENTS: Mapping[str, Measurement] = {
    "ack": measure_ack,
    "turn": measure_turn,
    "timer": measure_timer,
    "flood": measure_flood,
    "append": measure_append,
    "session": measure_session,
    "startup": measure_startup,
    "burst": measure_burst,
    "versus": measure_versus,
    "memory": measure_memory,
    "telemetry": measure_telemetry,
    "webhooks": measure_webhooks,
    "schedule": measure_schedule,
}
QUICK_SHARE = 0.1


def main(arguments: Sequence[str]) -> int:
    """Measure what was asked for; the exit status."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if unknown := [name for name in chosen.names if name not in MEASUREMENTS]:
        parser.error(f"there is no measurement {unknown[0]!r}, only {', '.join(MEASUREMENTS)}")
    machine = _machine()
    figures: list[Figure] = []
    failures: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="tw-bench-") as scratch:
        conditions = Conditions(share=QUICK_SHARE if chosen.quick else 1.0, scratch=Path(scratch))
        for name in chosen.names or MEASUREMENTS:
            began = time.monotonic()
            try:
                figures += MEASUREMENTS[name](conditions)
            except (NotMeasured, TurnwrightError, OSError) as error:
                failures[name] = str(error)
            sys.stderr.write(f"measured {name} ({time.monotonic() - began:.0f} s)\n")
    sys.stdout.write(_shown(chosen, machine, figures, failures))
    missed = [figure.name for figure in figures if figure.verdict == "MISS"]
    return 1 if failures or (chosen.strict and missed) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests.benchmarks", description="Measure the promised numbers.")
    names = f"what to measure, default all of: {', '.join(MEASUREMENTS)}"
    parser.add_argument("names", nargs="*", metavar="NAME", help=names)
    parser.add_argument("--quick", action="store_true", help="a tenth of the samples: a first look")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a bound is missed")
    return parser


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0]
    return f"{platform.system()}, {cores} cores, Python {platform.python_version()}, load {load:.1f} before"


def _shown(
    chosen: argparse.Namespace, machine: str, figures: Sequence[Figure], failures: Mapping[str, str]
) -> str:
    if chosen.json:
        rows = [
            {
                name: getattr(each, name)
                for name in ("name", "value", "unit", "samples", "bound", "least", "verdict", "note")
            }
            for each in figures
        ]
        document = {"machine": machine, "quick": chosen.quick, "figures": rows, "not_measured": failures}
        return msgspec.json.encode(document).decode() + "\n"
    lines = [machine + (", a tenth of the samples" if chosen.quick else ""), "", table(figures)]
    lines += [f"{name}: NOT MEASURED: {why}" for name, why in failures.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
