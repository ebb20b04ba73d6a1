"""Answers that take long, with real workers and times that are short: the thread is told, and answered after all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.streams.thread_events import ObligationSettled
from tests.fakes.slack_requests import event_request, mention
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import BOT_USER
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.scenarios.slack_talk import ENVIRONMENT, Talk

CONFIG = """
[limits]
reply_overdue_s = 1
reply_gives_up_s = 2
"""
ENDS = ("reply.delivered", "reply.failed")


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, slack: SlackServer) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        config=CONFIG,
        workers=2,
        workers_may_die=True,
        environment={**ENVIRONMENT, "TURNWRIGHT_SLACK_API_URL": slack.api_url},
    )
    with running_platform(tmp_path_factory.mktemp("overdue"), setup) as platform:
        yield platform


@pytest.fixture
def talk(platform: Platform, slack: SlackServer) -> Talk:
    platform.wait_ready(workers=2)
    return Talk(platform, slack)


def test_a_thread_is_told_twice_that_its_answer_is_late_and_answered_nevertheless(talk: Talk) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> think long")
    session = Session(talk.platform, id=talk.session(message))
    gate = talk.platform.vendor.hold(session.id)
    talk.deliver(event_request(mention(message)))

    session.wait("obligation.settled")
    gate.open()
    session.wait("turn.settled")
    session.wait_until(lambda found: len(found) == 3, *ENDS)

    *late, failed, answer = talk.replies(message)
    # Where the first one could not be posted before the second, it made room for it.
    assert late in ([], ["Still working on this: the model has not answered yet."])
    assert failed.startswith("I could not answer this in time")
    assert "think long" in answer
    assert len(session.events("reply.note_requested")) == 2
    ends = session.all("obligation.settled", ObligationSettled)
    assert [(one.how, one.reason) for one in ends] == [("failed", "overdue")]


@pytest.mark.parametrize("point", ["deliver.claimed", "deliver.sent"])
def test_a_note_survives_the_death_of_who_posts_it_and_is_posted_once(talk: Talk, point: str) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> think long, {point}")
    session = Session(talk.platform, id=talk.session(message))
    # Who dies may have held the request as well: then it is made again.
    gates = [talk.platform.vendor.hold(session.id) for _ in range(2)]
    died = talk.platform.arm(point)
    talk.deliver(event_request(mention(message)))
    session.wait_until(lambda found: died(), within_s=20)
    talk.platform.wait_ready(workers=2)

    session.wait("reply.delivered", 2, within_s=30)
    for gate in gates:
        gate.open()
    session.wait("reply.delivered", 3, within_s=30)

    late, failed, answer = talk.replies(message)
    assert late.startswith("Still working")
    assert failed.startswith("I could not answer this in time")
    assert point in answer
