"""The kill test, short: whatever dies, nothing acknowledged is lost, doubled or stuck.

`KILL_TEST_SEED` repeats a run's plan; `make kill-test` is the long one.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from services.faults import POINTS
from tests.chaos.campaign import Variant, run
from tests.chaos.variants import LONG, ROLES, SHORT
from tests.scenarios.platform import installed_site

SEED = int(os.environ.get("KILL_TEST_SEED") or random.SystemRandom().randrange(1_000_000))
COUNTED_KILLS = 12


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example provider and tools, installed as a user's would be."""
    return installed_site(tmp_path_factory)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("variant", SHORT, ids=lambda variant: variant.name)
def test_whatever_is_killed_every_acknowledged_prompt_is_answered_once(
    variant: Variant, plugins: Path, tmp_path: Path
) -> None:
    result = run(variant, tmp_path, plugins=plugins, seed=SEED)

    assert result.is_clean(), result.report()
    assert result.turns() >= variant.turns, result.report()
    assert len(result.evidence.blows) == len(variant.acts), result.report()
    # The log may show that a turn had just ended which the driver still thought open.
    assert result.kills >= variant.kills - 1, result.report()


@pytest.mark.parametrize("plan", [SHORT, LONG], ids=["short", "long"])
def test_the_plan_kills_every_role_and_at_every_point(plan: tuple[Variant, ...]) -> None:
    acts = [act for variant in plan for act in variant.acts]

    assert {act.target for act in acts if act.what == "kill"} == set(ROLES)
    assert {act.target for act in acts if act.what == "fault"} == set(POINTS)
    assert any(act.what == "stop" for act in acts)


def test_the_plans_are_as_large_as_promised() -> None:
    assert sum(variant.turns for variant in SHORT) >= 120
    assert sum(variant.kills - 1 for variant in SHORT) >= COUNTED_KILLS
    assert sum(variant.turns for variant in LONG) >= 500
    assert sum(variant.kills for variant in LONG) >= 45
