"""A web process that begins while the log store is away serves what it can, and completes itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby, pairwise
from pathlib import Path

import httpx2
import pytest
import redis

from services.streams.admission import RECORD
from tests.fakes.refusing_store import refusing_store
from tests.fakes.slack_requests import event_request, mention
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import BOT_USER
from tests.scenarios.platform import Platform, Setup, installed_site
from tests.scenarios.slack_talk import ENVIRONMENT, Talk
from tests.scenarios.vendor import Vendor
from tests.worker.waiting import wait_until


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture
def platform(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, slack: SlackServer
) -> Iterator[Platform]:
    """A platform without a log store, whose web process has begun."""
    environment = {**ENVIRONMENT, "TURNWRIGHT_SLACK_API_URL": slack.api_url, "TURNWRIGHT_SPOOL": "on"}
    with Vendor() as vendor:
        setup = Setup(site=installed_site(tmp_path_factory), environment=environment)
        made = Platform(tmp_path, setup, vendor)
        made.start_store(made.broker)
        made.start_web()
        wait_until(lambda: _status(made, "/readyz/webhooks") == 200)
        yield made
        vendor.release()
        made.close()
    assert "Traceback" not in made.logs()


def test_webhooks_are_taken_and_answered_once_the_store_is_there(
    platform: Platform, slack: SlackServer
) -> None:
    talk = Talk(platform, slack)
    message = slack.workspace.say(f"<@{BOT_USER}> before the store")
    talk.deliver(event_request(mention(message)))
    assert platform.gauge("turnwright_spool_waiting") == 1

    platform.start_store(platform.log_store)
    platform.start_worker()
    platform.wait_ready(workers=1)

    talk.wait_replies(message)
    wait_until(lambda: platform.gauge("turnwright_spool_waiting") == 0)
    assert platform.http.post("/api/prompts", json={"text": "hello"}).status_code == 202


def test_two_that_begin_early_keep_the_order_though_one_is_killed(
    platform: Platform, slack: SlackServer
) -> None:
    talk = Talk(platform, slack)
    second = platform.start_web("web-2")
    wait_until(lambda: b"spool_on" in second.log.read_bytes())
    first = slack.workspace.say(f"<@{BOT_USER}> number 0")
    for n in range(9):
        if n == 6:
            second.kill()
        said = slack.workspace.say(f"<@{BOT_USER}> number {n}", thread_ts=first.ts) if n else first
        # A connection each: either of both may get it.
        request = event_request(mention(said))
        talk.deliver(replace(request, headers={**request.headers, "Connection": "close"}))
    assert platform.gauge("turnwright_spool_waiting") == 9

    platform.start_store(platform.log_store)
    platform.start_worker()
    platform.wait_ready(workers=1)

    wait_until(lambda: platform.gauge("turnwright_spool_waiting") == 0)
    path = f"/api/sessions/{talk.session(first)}/events?type=input.received"
    wait_until(lambda: len(platform.http.get(path).json().get("events", ())) == 9, within_s=40)
    texts = [event["payload"]["text"] for event in platform.http.get(path).json()["events"]]
    assert [text[-1] for text in texts] == [str(n) for n in range(9)]


def test_a_store_that_can_not_be_used_and_a_wrong_file_end_the_start(
    platform: Platform,
) -> None:
    platform.parts["web"].kill()
    careless = platform.start_store(replace(platform.log_store, kind="broker"))

    refused = platform.start_web("web-2")
    assert refused.process.wait(20) == 2
    refused.is_expected_to_end = True
    assert "set appendonly yes" in refused.log.read_text()

    careless.kill()
    platform.configure("[agents.default]\nno_such_key = 1\n")
    wrong = platform.start_web("web-3")
    assert wrong.process.wait(20) == 2
    wrong.is_expected_to_end = True


def test_what_waits_is_delivered_also_when_its_secret_was_rotated_meanwhile(
    platform: Platform, slack: SlackServer
) -> None:
    talk = Talk(platform, slack)
    message = slack.workspace.say(f"<@{BOT_USER}> signed with the old secret")
    request = event_request(mention(message))
    talk.deliver(request)
    platform.parts["web"].kill()
    rotated = {"TURNWRIGHT_SLACK_SIGNING_SECRET": "the-one-that-is-valid-from-now-on"}
    platform.start_web(**rotated)
    wait_until(lambda: _status(platform, "/readyz/webhooks") == 200)
    assert talk.send(request).status_code == 401

    platform.start_store(platform.log_store)
    platform.start_worker(**rotated)
    platform.wait_ready(workers=1)

    talk.wait_replies(message)
    wait_until(lambda: platform.gauge("turnwright_spool_waiting") == 0)
    assert platform.gauge("turnwright_spool_rejected") == 0


def test_prompts_and_reads_are_refused_with_the_reason_and_health_is_told_apart(platform: Platform) -> None:
    prompt = platform.http.post("/api/prompts", json={"text": "hello"})
    read = platform.http.get("/api/sessions")
    bare = httpx2.get(f"{platform.url}/api/sessions", trust_env=False)

    for refused in (prompt, read):
        assert (refused.status_code, refused.json()["reason"]) == (503, "no_socket")
        assert refused.json()["type"] == "urn:turnwright:problem:unavailable"
        assert "there is no socket at its address" in refused.json()["detail"]
        assert int(refused.headers["Retry-After"]) > 0
    assert bare.status_code == 401
    assert [_status(platform, path) for path in ("/healthz", "/readyz", "/nowhere")] == [200, 503, 503]
    told = httpx2.get(f"{platform.url}/readyz", trust_env=False).json()
    assert (told["reason"], told.get("detail")) == ("store_away", None)


def test_metrics_show_what_this_process_knows(platform: Platform, slack: SlackServer) -> None:
    Talk(platform, slack).call("counted")

    shown = platform.http.get("/metrics")
    stranger = httpx2.get(
        f"{platform.url}/metrics", headers={"Authorization": "Bearer tw_other"}, trust_env=False
    )

    assert shown.status_code == 200
    assert "\nturnwright_store_up 0\n" in shown.text
    assert 'turnwright_process_spool_total{outcome="spooled"} 1' in shown.text
    assert "\nturnwright_spool_total{" not in shown.text
    assert stranger.status_code == 503
    platform.start_store(platform.log_store)
    wait_until(lambda: platform.gauge("turnwright_store_up") == 1)
    wait_until(lambda: (platform.gauge("turnwright_spool_total") or 0) > 0)
    assert platform.gauge("turnwright_process_spool_total") is None


def test_why_the_store_is_away_is_logged_once_for_each_reason(platform: Platform) -> None:
    socket = platform.log_store.socket
    with refusing_store(socket, "LOADING Valkey is loading the dataset in memory"):
        wait_until(lambda: _reason(platform) == "loading")
    wait_until(lambda: _reason(platform) == "no_socket")
    with refusing_store(socket, "WRONGPASS invalid username-password pair or user is disabled."):
        wait_until(lambda: _reason(platform) == "password")
    platform.start_store(platform.log_store)
    wait_until(lambda: _status(platform, "/api/sessions") == 200)

    told = [line["reason"] for line in _lines(platform) if line["event"] == "store_away"]
    assert all(reason != before for before, reason in pairwise(told))
    # A line that breaks while the server behind it goes away is a reason of its own, for a moment.
    lasting = [reason for reason, _ in groupby(each for each in told if each != "lost")]
    assert lasting[:4] == ["no_socket", "loading", "no_socket", "password"]
    assert lasting[4:] in ([], ["no_socket"])
    assert [line["event"] for line in _lines(platform)].count("store_back") == 1


def test_a_store_that_turns_out_unusable_is_used_once_it_was_mended(
    platform: Platform, slack: SlackServer
) -> None:
    part = platform.start_store(replace(platform.log_store, kind="broker"))
    wait_until(lambda: _reason(platform) == "unusable")
    Talk(platform, slack).call("kept all the while")
    said = [line for line in _lines(platform) if line["event"] == "store_unusable"]

    assert platform.gauge("turnwright_spool_waiting") == 1
    assert "set appendonly yes" in said[0]["problem"]
    with redis.Redis.from_url(platform.log_store.url) as client:
        assert client.hgetall(RECORD) == {}
        client.config_set("appendonly", "yes")
    wait_until(lambda: platform.gauge("turnwright_spool_waiting") == 0)
    assert len([line for line in _lines(platform) if line["event"] == "store_unusable"]) == 1
    part.kill()


def _status(platform: Platform, path: str) -> int:
    try:
        return platform.http.get(path).status_code
    except httpx2.HTTPError:
        return 0


def _reason(platform: Platform) -> str:
    return str(platform.http.get("/api/sessions").json().get("reason", ""))


def _lines(platform: Platform) -> list[dict[str, str]]:
    lines = (platform.folder / "web.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
