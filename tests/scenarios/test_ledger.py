"""The ledger on the real platform: what Slack sends ends in a state there, and an audit says what does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.slack_requests import event_request, mention
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import BOT_USER, Channel
from tests.scenarios.cli_calls import Shell
from tests.scenarios.platform import TOKEN, Platform, Setup, installed_site, running_platform
from tests.scenarios.slack_talk import ENVIRONMENT, Talk
from tests.worker.waiting import wait_until


@pytest.fixture(scope="module")
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        server.workspace.channels["C0GONE"] = Channel(id="C0GONE", is_archived=True)
        yield server


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, slack: SlackServer) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        environment={**ENVIRONMENT, "TURNWRIGHT_SLACK_API_URL": slack.api_url},
    )
    with running_platform(tmp_path_factory.mktemp("ledger"), setup) as platform:
        yield platform


@pytest.fixture
def talk(platform: Platform, slack: SlackServer) -> Talk:
    return Talk(platform, slack)


@pytest.fixture
def shell(platform: Platform, tmp_path: Path) -> Shell:
    return Shell(home=tmp_path, variables={"TURNWRIGHT_URL": platform.url, "TURNWRIGHT_API_TOKEN": TOKEN})


def deliveries(talk: Talk, query: str = "") -> list[dict[str, Any]]:
    answer = talk.platform.http.get(f"/api/inbound?{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["deliveries"]
    return found


def owed(shell: Shell) -> list[tuple[str, str]]:
    done = shell.run("audit", "--json")
    found = [(each["what"], each["state"]) for each in json.loads(done.out)["owed"]]
    assert done.status == bool(found)
    return found


def test_a_mention_is_routed_and_shown_as_it_came(talk: Talk) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> where does this go?")
    request = event_request(mention(message))

    talk.deliver(request, request.retried(1))

    talk.wait_replies(message)
    wait_until(lambda: [each["state"] for each in deliveries(talk)][:1] == ["routed"])
    newest = deliveries(talk)[0]
    assert (newest["session"], newest["source"]) == (talk.session(message), "slack")
    event = talk.platform.http.get(f"/api/sessions/{newest['session']}/events?after={newest['offset'] - 1}")
    assert event.json()["events"][0]["type"] == "input.received"
    shown = talk.platform.http.get(f"/api/inbound/{newest['id']}").json()
    assert shown["body"].encode() == request.body
    wait_until(lambda: (talk.platform.gauge("turnwright_inbound_settled_total") or 0) >= 1)
    routed = deliveries(talk, "limit=100&state=routed&source=slack")
    assert [each["session"] for each in routed].count(newest["session"]) == 1


def test_an_audit_owes_a_delivery_to_a_paused_session_until_it_is_resumed(talk: Talk, shell: Shell) -> None:
    first = talk.slack.workspace.say(f"<@{BOT_USER}> begin")
    talk.deliver(event_request(mention(first)))
    talk.wait_replies(first)
    wait_until(lambda: owed(shell) == [])
    assert shell.run("pause", talk.session(first)).status == 0
    second = talk.slack.workspace.say(f"<@{BOT_USER}> go on", thread_ts=first.ts)
    talk.deliver(event_request(mention(second)))

    # It is tried now and then, and says so while it is.
    wait_until(lambda: owed(shell) == [("delivery", "paused")])

    assert [each["id"] for each in deliveries(talk, "state=pending")] != []
    assert talk.platform.gauge("turnwright_inbound_pending") == 1
    assert shell.run("resume", talk.session(first)).status == 0
    talk.wait_replies(first, 2)
    wait_until(lambda: shell.run("audit").status == 0)
    assert talk.platform.gauge("turnwright_inbound_pending") is None


def test_an_audit_owes_an_answer_while_the_model_thinks(talk: Talk, shell: Shell) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> think about it")
    session = talk.session(message)
    gate = talk.platform.vendor.hold(session)
    talk.deliver(event_request(mention(message)))
    gate.wait_entered()

    done = shell.run("audit", "--json")

    answers = [each for each in json.loads(done.out)["owed"] if each["session"] == session]
    assert (done.status, [(each["what"], each["state"]) for each in answers]) == (1, [("answer", "waiting")])
    gate.open()
    talk.wait_replies(message)
    wait_until(lambda: shell.run("audit").status == 0)


def test_an_audit_owes_an_answer_that_could_not_be_said_until_somebody_gives_it_up(
    talk: Talk, shell: Shell
) -> None:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> too late", channel="C0GONE")
    talk.deliver(event_request(mention(message)))
    session = talk.session(message)

    def of_session() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(shell.run("audit", "--json").out)["owed"]
        return [each for each in found if each["session"] == session]

    wait_until(lambda: [(each["what"], each["state"]) for each in of_session()] == [("reply", "failed")])
    (reply,) = of_session()
    assert "is_archived" in reply["remark"]
    assert shell.run("outbox", "--discard", reply["id"]).status == 0
    wait_until(lambda: of_session() == [])
    assert [each["state"] for each in deliveries(talk) if each["session"] == session] == ["routed"]


def test_web_says_at_its_start_which_channels_are_on(talk: Talk) -> None:
    lines = [
        json.loads(line)
        for line in talk.platform.parts["web"].log.read_text().splitlines()
        if '"channel"' in line
    ]

    states = {each["channel"]: each["state"] for each in lines if "channel" in each}
    assert states == {"slack": "on, webhooks to /webhooks/slack/events"}
