"""`make kill-test`: 500 turns under at least 40 counted kills, in three variants, with figures.

`python -m tests.chaos [--seed N] [--variant NAME] [--short] [--channels | --schedule] [--keep FOLDER]`; with
`--channels` 300 mentions over Slack and GitHub, in three variants; with `--schedule` a simulated day of triggers.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos import day_plan, outings
from tests.chaos.campaign import Result, run
from tests.chaos.day import live_through
from tests.chaos.thread_campaign import Report, go_out
from tests.chaos.variants import LONG, SHORT
from tests.plugins.install import install_plugin


def main() -> int:
    """Run the variants one after the other; 0 only if every promise was kept."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="kill-test-") as scratch:
        folder = Path(options.keep or scratch)
        plugins = folder / "plugins"
        for name in ("acme_provider", "acme_tools"):
            install_plugin(name, plugins)
        if options.schedule:
            return _schedule(options, folder, plugins)
        return (_channels if options.channels else _prompts)(options, folder, plugins)


def _prompts(options: argparse.Namespace, folder: Path, plugins: Path) -> int:
    results: list[Result] = []
    for variant in SHORT if options.short else LONG:
        if options.variant in (None, variant.name):
            _say(f"{variant.name}: seed {options.seed}")
            result = run(variant, folder / variant.name, plugins=plugins, seed=options.seed)
            _say(result.figures() if result.is_clean() else result.report())
            results.append(result)
    turns = sum(result.turns() for result in results)
    kills = sum(result.kills for result in results)
    clean = all(result.is_clean() for result in results)
    _say(f"{turns} turns, {kills} counted kills, seed {options.seed}: {'all kept' if clean else 'BROKEN'}")
    return 0 if clean else 1


def _channels(options: argparse.Namespace, folder: Path, plugins: Path) -> int:
    reports: list[Report] = []
    for outing in outings.SHORT if options.short else outings.LONG:
        if options.variant in (None, outing.name):
            _say(f"{outing.name}: seed {options.seed}")
            report = go_out(outing, folder / outing.name, plugins=plugins, seed=options.seed)
            _say(report.figures() if report.is_clean() else report.report())
            reports.append(report)
    mentions = sum(report.mentions() for report in reports)
    blows = sum(len(report.talked.base.blows) + len(report.died) for report in reports)
    clean = all(report.is_clean() for report in reports)
    _say(f"{mentions} mentions, {blows} blows, seed {options.seed}: {'all kept' if clean else 'BROKEN'}")
    return 0 if clean else 1


def _schedule(options: argparse.Namespace, folder: Path, plugins: Path) -> int:
    scale = day_plan.SHORT if options.short else day_plan.LONG
    (folder / scale.name).mkdir(parents=True)
    report = live_through(scale, folder / scale.name, site=plugins, seed=options.seed)
    _say(report.figures() if report.is_clean() else report.report())
    _say(report.excerpts())
    _say(f"{report.ticks()} due times, seed {options.seed}: {'all kept' if report.is_clean() else 'BROKEN'}")
    return 0 if report.is_clean() else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="The kill test.")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--variant", help="only this one")
    parser.add_argument("--short", action="store_true", help="the plan of the test suite")
    parser.add_argument("--channels", action="store_true", help="mentions over Slack and GitHub")
    parser.add_argument("--schedule", action="store_true", help="a simulated day of triggers")
    parser.add_argument("--keep", help="a new folder for data and output, left behind")
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
