"""A night of triggers, short: beats and workers die, all is out for hours, clocks are set; no due time is missed.

`KILL_TEST_SEED` repeats a plan; `python -m tests.chaos --schedule` is the long one.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.chaos.day import live_through
from tests.chaos.day_plan import POINTS, SHORT
from tests.scenarios.platform import installed_site

SEED = int(os.environ.get("KILL_TEST_SEED") or random.SystemRandom().randrange(1_000_000))


@pytest.mark.timeout(400)
def test_whatever_is_killed_every_due_time_is_accounted_for_once(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    report = live_through(SHORT, tmp_path, site=installed_site(tmp_path_factory), seed=SEED)

    assert report.is_clean(), report.report()
    assert report.ticks() > 100, report.report()
    assert set(report.points) == set(POINTS), report.report()
