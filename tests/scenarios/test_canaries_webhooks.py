"""What comes over webhooks, what GitHub answers and what they are signed with: in no log, span, metric or error."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing

import httpx2
import pytest

from services.channels.http.signing import signed_headers
from services.variables import signing_key
from tests.fakes.github_server import BadGateway, GitHubServer, Lose, Refuse, secondary_limit
from tests.fakes.github_world import app_key_pem
from tests.fakes.otlp_server import Collector
from tests.scenarios.cli_calls import Shell
from tests.scenarios.github_talk import OLD_SECRET, SECRET, Talk, environment
from tests.scenarios.platform import TOKEN, Platform, Setup, installed_site, running_platform
from tests.worker.waiting import wait_until

CANARY = "kanarienvogel"
SOURCE_SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CONFIG = '[[sources]]\nname = "shop"\n\n[[sources]]\nname = "unset"\n'

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def server() -> Iterator[GitHubServer]:
    with GitHubServer() as server:
        yield server


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def platform(
    tmp_path_factory: pytest.TempPathFactory, server: GitHubServer, collector: Collector
) -> Iterator[Platform]:
    given = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        "TURNWRIGHT_SOURCE_SHOP_SECRET": SOURCE_SECRET,
        "TURNWRIGHT_LOG_LEVEL": "debug",
    }
    setup = Setup(
        site=installed_site(tmp_path_factory), config=CONFIG, environment={**environment(server), **given}
    )
    with running_platform(tmp_path_factory.mktemp("canaries"), setup) as running:
        yield running


def trouble(server: GitHubServer) -> None:
    """GitHub goes wrong in every way, and speaks of the canary as it does."""
    server.will(
        Refuse(status=500, message=CANARY),
        secondary_limit(retry_after_s=1),
        Lose(),
        Refuse(status=403, message=CANARY),
    )
    server.will(Refuse(status=500, message=CANARY), method="GET", ending="/permission")
    server.will(BadGateway(), Refuse(status=401, message=CANARY), method="GET", ending="/hook/deliveries")


def refused(platform: Platform, talk: Talk) -> list[str]:
    """What whoever sends nonsense is told."""
    body = json.dumps({"zen": CANARY}).encode()
    answers = [
        talk.post(body, signature=f"sha256={CANARY}"),
        talk.post(body, event=CANARY.upper()),
        talk.post(body, guid=f"{CANARY} {CANARY}"),
        talk.post(body[:-1] + CANARY.encode()),
        talk.post(b"payload=" + CANARY.encode()),
        talk.post(json.dumps({"issue": CANARY, "action": CANARY}).encode()),
        sourced(platform, body, secret="whsec_" + "A" * 32),
        sourced(platform, CANARY.encode()),
        platform.http.post("/webhooks/in/unset", content=body),
    ]
    assert all(400 <= each.status_code < 504 for each in answers), answers
    return [each.text for each in answers]


def sourced(platform: Platform, body: bytes, *, secret: str = SOURCE_SECRET) -> httpx2.Response:
    headers = signed_headers([signing_key(secret)], id="msg_1", timestamp_s=int(time.time()), body=body)
    return platform.http.post("/webhooks/in/shop", content=body, headers=headers)


def test_canaries_of_webhooks_are_seen_nowhere(
    platform: Platform, server: GitHubServer, collector: Collector
) -> None:
    talk = Talk(platform, server)
    issue = talk.issue(title=f"a {CANARY}", body=f"my {CANARY}")
    talk.world.comment(issue, f"earlier {CANARY}")
    trouble(server)

    talk.say(issue, f"@turnwright the {CANARY}")
    talk.say(issue, f"@turnwright may I? {CANARY}", login="mallory")
    talk.told(talk.hooks.issues(talk.repository, issue, action="labeled", label=CANARY))
    assert sourced(platform, json.dumps({"type": CANARY, "text": CANARY}).encode()).status_code == 200
    problems = refused(platform, talk)
    platform.http.post("/api/inbound/reconcile")
    talk.wait_answers(issue, within_s=40)
    wait_until(lambda: len(talk.fates()) == 3, within_s=30)
    problems.append(platform.http.get(f"{talk.session(issue).path}/why").text)
    wait_until(lambda: len(collector.metrics) > 2)
    collector.wait_for(lambda spans: any(each.name.startswith("route github") for each in spans))
    shell = Shell(home=platform.folder, variables={**platform.environment(), "TURNWRIGHT_URL": platform.url})
    doctor = shell.run("doctor")

    with closing(platform.broker_client()) as client:
        left = [client.dump(key) or b"" for key in client.keys("*")]
    seen = {
        "logs": platform.logs().encode(),
        "spans and metrics": b"".join(collector.raw),
        "metrics": platform.http.get("/metrics").content,
        "the broker": b"".join(left),
        "errors": "".join(problems).encode(),
        "doctor": (doctor.out + doctor.err).encode(),
    }
    tokens = [each for each in server.world.tokens if each.startswith("gh")]
    assert tokens
    for place, content in seen.items():
        assert content, place
        for secret in (TOKEN, SECRET, OLD_SECRET, SOURCE_SECRET, app_key_pem()[100:160], *tokens, CANARY):
            assert secret.encode() not in content, f"{secret} in {place}"
