"""GitHub's webhooks over the real HTTP surface: all its own examples, and what nobody should send."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

from services.channels.github.signature import signature_of
from services.streams.inbound_events import InboundReceived
from services.variables import Secret
from tests.fakes.github_hooks import Hooks
from tests.fakes.github_server import GitHubServer
from tests.scenarios.github_talk import OLD_SECRET, SECRET, Talk, environment
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.unit.test_github_events import all_examples
from tests.worker.waiting import wait_until

MOST = 25 * 1024 * 1024
# None of GitHub's examples calls `turnwright`, or is anybody else's but a person's whom nobody knows.
REASONS = {"other_event", "not_called", "other_label", "housekeeping", "bot"}


@pytest.fixture(scope="module")
def server() -> Iterator[GitHubServer]:
    with GitHubServer() as server:
        yield server


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, server: GitHubServer) -> Iterator[Platform]:
    setup = Setup(site=installed_site(tmp_path_factory), environment=environment(server))
    with running_platform(tmp_path_factory.mktemp("webhooks"), setup) as platform:
        platform.start_web("web-2")
        yield platform


@pytest.fixture
def talk(platform: Platform, server: GitHubServer) -> Talk:
    return Talk(platform, server)


def mention(talk: Talk) -> bytes:
    """The body of a webhook that would begin a turn."""
    issue = talk.issue()
    comment = talk.world.comment(issue, "@turnwright hello")
    quiet = Hooks(talk.world, secret=SECRET)
    return json.dumps(quiet.issue_comment(talk.repository, issue, comment).payload).encode()


def ledger(talk: Talk) -> list[dict[str, Any]]:
    """All deliveries of GitHub's, the newest first."""
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        more = f"&cursor={quote(cursor)}" if cursor else ""
        page = talk.platform.http.get(f"/api/inbound?source=github&limit=100{more}").json()
        found += page["deliveries"]
        cursor = page["cursor"]
    return found


def left(talk: Talk) -> int:
    return len(talk.inbound().events())


def test_every_example_of_github_is_taken_and_has_a_fate_that_is_always_the_same(talk: Talk) -> None:
    examples = list(all_examples())
    assert len(examples) == 329
    kept = 0
    for again in ("a", "b"):
        for number, (event, payload) in enumerate(examples):
            answer = talk.post(json.dumps(payload).encode(), event=event, guid=f"example-{again}-{number}")
            assert answer.status_code == 200, (event, answer.text)
        kept += sum(event != "ping" for event, _ in examples)

    def fates() -> dict[str, tuple[str, str]]:
        return {
            each["key"]: (each["state"], each["reason"])
            for each in ledger(talk)
            if each["key"].startswith("github:example-")
        }

    wait_until(lambda: all(state == "ignored" for state, _ in fates().values()), within_s=60)
    found = fates()
    assert len(found) == kept
    assert {reason for _, reason in found.values()} <= REASONS
    first = {key.rpartition("-")[2]: fate for key, fate in found.items() if "-a-" in key}
    second = {key.rpartition("-")[2]: fate for key, fate in found.items() if "-b-" in key}
    assert first == second
    assert Counter(reason for _, reason in first.values())["not_called"] > 10


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        "sha1=" + "0" * 40,
        "sha256=" + "é" * 32,
        "0" * 64,
        "sha256=" + "0" * 5000,
    ],
)
def test_what_is_not_signed_by_github_is_refused_and_leaves_nothing(talk: Talk, signature: str) -> None:
    answer = talk.post(mention(talk), signature=signature)

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert left(talk) == 0


def test_what_another_secret_signed_is_refused(talk: Talk) -> None:
    body = mention(talk)

    assert talk.post(body, signature=signature_of(Secret("another"), body)).status_code == 401
    assert talk.post(body, signature=signature_of(Secret(SECRET), body + b" ")).status_code == 401
    assert left(talk) == 0


def test_while_secrets_rotate_both_are_good(talk: Talk) -> None:
    body = mention(talk)

    for secret in (SECRET, OLD_SECRET):
        assert talk.post(body, signature=signature_of(Secret(secret), body)).status_code == 200


@pytest.mark.parametrize(
    ("body", "changes", "status"),
    [
        (b"payload=%7B%22action%22%3A1%7D", {"content_type": "application/x-www-form-urlencoded"}, 422),
        (b"", {}, 422),
        (b"{", {}, 422),
        (b"[]", {}, 422),
        (b"null", {}, 422),
        (b"\xff\xfe{\x00}\x00", {}, 422),
        (b'{"action": "created", "x": "\xe9"}', {}, 422),
        (b"[" * 100_000, {}, 422),
        (b"{}", {}, 422),
        (b'{"action": 1, "issue": {"number": -1}}', {}, 422),
        (b"{}", {"event": ""}, 422),
        (b"{}", {"event": "no event"}, 422),
        (b"{}", {"guid": ""}, 422),
        (b"{}", {"guid": "a b"}, 422),
        (b"{}", {"guid": "x" * 101}, 422),
        (b"{}", {"encoding": "gzip"}, 415),
    ],
)
def test_what_is_signed_but_wrong_is_refused_with_a_reason(
    talk: Talk, body: bytes, changes: dict[str, str], status: int
) -> None:
    before = len(ledger(talk))

    answer = talk.post(body, **changes)

    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert problem["type"]
    assert len(ledger(talk)) == before


def test_a_form_is_refused_with_what_to_choose_instead(talk: Talk) -> None:
    answer = talk.post(b"payload=%7B%7D")

    assert "choose application/json" in answer.text


def test_a_body_over_the_limit_is_refused(talk: Talk) -> None:
    assert talk.post(b" " * (MOST + 1), event="push").status_code == 413
    assert left(talk) == 0


def test_a_large_body_is_taken(talk: Talk) -> None:
    place = {"repository": {"id": talk.repository.id, "full_name": talk.repository.name}}
    body = json.dumps({**place, "commits": "x" * 15_000_000}).encode()

    assert talk.post(body, event="push").status_code == 200

    assert talk.wait_fate() == {"state": "ignored", "reason": "other_event"}


def test_of_a_body_too_large_for_the_log_is_told_that_it_came(talk: Talk) -> None:
    place = {"repository": {"id": talk.repository.id, "full_name": talk.repository.name}}
    body = json.dumps({**place, "commits": ['"'] * 3_500_000}).encode()
    assert len(body) <= MOST

    assert talk.post(body, event="push", guid="large").status_code == 200
    assert talk.post(body, event="push", guid="large").status_code == 200

    assert talk.wait_fate() == {"state": "ignored", "reason": "too_large"}
    [received] = talk.inbound().all("inbound.received", InboundReceived)
    assert (received.body, received.left_out) == ("", len(body))


def test_a_body_that_is_cut_off_leaves_nothing(talk: Talk) -> None:
    body = mention(talk)
    signature = signature_of(Secret(SECRET), body)
    assert talk.post(body[:-20], signature=signature).status_code == 401

    head = (
        f"POST /webhooks/github HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n"
        f"x-github-event: issue_comment\r\nx-github-delivery: cut\r\nx-hub-signature-256: {signature}\r\n\r\n"
    )
    with socket.create_connection(talk.platform.listener.getsockname()) as connection:
        connection.sendall(head.encode() + body[:-20])
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(20)
        while connection.recv(4096):
            pass

    assert left(talk) == 0


def test_ping_is_answered_and_not_kept(talk: Talk) -> None:
    before = len(ledger(talk))

    assert talk.hooks.ping().status == 200

    assert len(ledger(talk)) == before


def test_ten_of_the_same_at_the_same_moment_are_one_input(talk: Talk) -> None:
    body = mention(talk)
    issue = talk.repository.issues[1]

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: talk.post(body, guid="ten-at-once").status_code, range(10)))

    assert answers == [200] * 10
    talk.wait_answers(issue)
    session = talk.session(issue)
    session.wait_idle()
    assert len(session.events("input.received")) == 1
    assert len(talk.answers(issue)) == 1
    assert len(talk.inbound().events("inbound.received")) == 1
