"""`make kill-test`: 500 turns under at least 40 counted kills, in three variants, with figures.

`python -m tests.chaos [--seed N] [--turns N] [--variant NAME] [--short] [--keep FOLDER]`
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.campaign import Result, run
from tests.chaos.variants import LONG, SHORT
from tests.plugins.install import install_plugin


def main() -> int:
    """Run the variants one after the other; 0 only if every promise was kept."""
    options = _options()
    plan = SHORT if options.short else LONG
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="kill-test-") as scratch:
        folder = Path(options.keep or scratch)
        plugins = folder / "plugins"
        for name in ("acme_provider", "acme_tools"):
            install_plugin(name, plugins)
        for variant in plan:
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


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="The kill test.")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--variant", help="only this one")
    parser.add_argument("--short", action="store_true", help="the plan of the test suite")
    parser.add_argument("--keep", help="a new folder for data and output, left behind")
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
