"""The kill test over Slack and GitHub, short: whatever dies or stands still, each mention gets its one reply.

`KILL_TEST_SEED` repeats a run's plan; `python -m tests.chaos --channels` is the long one.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from services.faults import INBOUND_POINTS
from tests.chaos.outings import LONG, POINTS, ROLES, SHORT
from tests.chaos.thread_campaign import Outing, go_out
from tests.chaos.threads import KINDS, Threads
from tests.scenarios.platform import installed_site

SEED = int(os.environ.get("KILL_TEST_SEED") or random.SystemRandom().randrange(1_000_000))


@pytest.mark.timeout(400)
@pytest.mark.parametrize("outing", SHORT, ids=lambda outing: outing.name)
def test_whatever_is_killed_every_mention_gets_its_one_reply(
    outing: Outing, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    report = go_out(outing, tmp_path, plugins=installed_site(tmp_path_factory), seed=SEED)

    assert report.is_clean(), report.report()
    assert report.mentions() >= outing.mentions, report.report()
    assert len(report.talked.base.blows) == len(outing.acts), report.report()
    assert report.trouble, report.report()


def test_the_long_plan_kills_and_stops_what_there_is_and_at_every_point() -> None:
    acts = [act for outing in LONG for act in outing.acts]

    assert {act.target for act in acts if act.what == "kill"} == {*ROLES, "supervisor"}
    assert {act.target for act in acts if act.what == "stop"} >= {"worker", "web", "web-child", "beat", "log"}
    assert {act.target for act in acts if act.what == "ambush"} == {"saying", "looking"}
    assert {act.target for act in acts if act.what == "fault"} == set(POINTS)
    assert {point for outing in LONG for point in outing.points} | set(POINTS) >= set(INBOUND_POINTS)
    assert sum(outing.mentions for outing in LONG) >= 300
    assert {outing.has_spool for outing in LONG} == {True, False}


def test_a_stopped_process_stands_still_for_longer_than_its_leases() -> None:
    for outing in (*SHORT, *LONG):
        assert outing.stop_s > max(outing.timings["lease_ttl_s"], outing.timings["delivery_lease_s"])


def test_the_same_seed_draws_the_same_talk() -> None:
    one, other = Threads(random.Random("7")), Threads(random.Random("7"))
    drawn = [one.draw() for _ in range(60)]

    assert drawn == [other.draw() for _ in range(60)]
    assert {thread.kind for thread in drawn} == set(KINDS)
    assert all(thread.sayings[0].how == "call" and len(thread.sayings) > 1 for thread in drawn)
    said = [saying for thread in drawn for saying in thread.sayings]
    assert {saying.how for saying in said} == {"call", "reply", "chatter", "stranger"}
    assert any(saying.at_once > 1 for saying in said)
    assert any(saying.again_s for saying in said)
