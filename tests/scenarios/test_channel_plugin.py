"""Channels that packages bring: webhooks in, answers out exactly once, and one that is broken harms nobody else."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from services.streams.vocabulary import InputReceived
from tests.fakes.acme_chat import SECRET, AcmeChat, signed
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.worker.waiting import wait_until

CONFIG = """
[limits]
delivery_attempts = 2

[agents.poet]
system_prompt = "Answer in rhymes."

[[routes]]
source = "acme"
places = ["spam-*"]
ignore = true

[[routes]]
source = "acme"
places = ["verse"]
agent = "poet"
session = "acme:verses-{author}"
"""
CANARY = "canary-of-the-brittle-channel"
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def chat() -> Iterator[AcmeChat]:
    with AcmeChat() as chat:
        yield chat


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, chat: AcmeChat) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        config=CONFIG,
        workers_may_die=True,
        environment={
            "ACME_CHANNEL_URL": chat.url,
            "ACME_CHANNEL_SECRET": SECRET,
            "ACME_BRITTLE": "1",
        },
    )
    with running_platform(tmp_path_factory.mktemp("channels"), setup) as platform:
        yield platform
        assert CANARY not in platform.logs()
        assert SECRET not in platform.logs()


def post(platform: Platform, name: str, body: bytes, headers: dict[str, str]) -> httpx2.Response:
    return platform.http.post(f"/webhooks/in/{name}", content=body, headers={"authorization": "", **headers})


def say(
    platform: Platform, room: str, text: str, *, id: str = "", secret: str = SECRET, user: str = "ana"
) -> httpx2.Response:
    """What the chat posts when somebody says something."""
    id = id or f"m{next(_numbers)}"
    body = json.dumps({"type": "message", "id": id, "room": room, "user": user, "text": text}).encode()
    return post(platform, "acme", body, signed(body, secret=secret))


def poke(platform: Platform, id: str, does: str, **headers: str) -> httpx2.Response:
    """A webhook of the broken channel."""
    return post(platform, "brittle", json.dumps({"id": id, "does": does}).encode(), headers)


def told(platform: Platform, path: str) -> dict[str, Any]:
    answer = platform.http.get(path)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_what_is_said_in_a_room_is_answered_there_exactly_once(platform: Platform, chat: AcmeChat) -> None:
    for _ in range(3):
        assert say(platform, "hall", "hello", id="same").status_code == 200
    chat.wait_for(lambda chat: len(chat.in_room("hall")) == 1)

    session = Session(platform, id="acme:hall")
    session.wait("reply.delivered")
    heard = session.all("input.received", InputReceived)
    assert [(each.text, each.author, each.reply_to) for each in heard] == [("hello", "ana", "acme:hall")]
    assert [each.text for each in chat.in_room("hall")] == [session.settled()[0].text]


def test_an_answer_that_arrived_before_the_chat_hung_up_is_found_and_not_said_again(
    platform: Platform, chat: AcmeChat
) -> None:
    chat.will("keep_and_hang_up")
    assert say(platform, "attic", "hello").status_code == 200

    Session(platform, id="acme:attic").wait("reply.delivered")
    assert len(chat.in_room("attic")) == 1


def test_an_answer_that_is_refused_at_first_comes_later(platform: Platform, chat: AcmeChat) -> None:
    chat.will("overload")
    assert say(platform, "cellar", "hello").status_code == 200

    Session(platform, id="acme:cellar").wait("reply.delivered")
    assert len(chat.in_room("cellar")) == 1


def test_the_routes_of_the_configuration_hold_for_a_package_too(platform: Platform, chat: AcmeChat) -> None:
    assert say(platform, "spam-1", "buy").status_code == 200
    assert say(platform, "verse", "rose", user="ben").status_code == 200

    session = Session(platform, id="acme:verses-ben")
    assert session.settled()[0].agent == "poet"
    session.wait("reply.delivered")
    assert [each.room for each in chat.kept if each.room in ("spam-1", "verse")] == ["verse"]
    found = told(platform, "/api/inbound?source=acme&state=ignored")["deliveries"]
    assert [each["reason"] for each in found] == ["route_says_ignore"]


def test_a_request_that_only_wants_an_answer_gets_it(platform: Platform) -> None:
    body = b'{"type": "ping", "ping": "7"}'

    assert post(platform, "acme", body, signed(body)).json() == {"pong": "7"}


def test_what_the_package_does_not_believe_or_understand_is_refused(platform: Platform) -> None:
    body = b"[]"

    assert say(platform, "nowhere", "hello", secret="other").status_code == 401
    assert post(platform, "acme", body, signed(body)).status_code == 422
    assert post(platform, "acme", body, signed(body, at_s=1_000_000)).status_code == 401
    assert platform.http.get("/api/sessions/acme:nowhere").status_code == 404


@pytest.mark.parametrize(
    ("does", "headers", "status"),
    [
        ("anything", {"x-does": "raise"}, 401),
        ("anything", {"x-does": "forged"}, 401),
        ("exit", {}, 422),
        ("lie", {}, 422),
        ("hang", {}, 503),
    ],
)
def test_a_package_that_breaks_at_a_webhook_refuses_that_webhook(
    platform: Platform, does: str, headers: dict[str, str], status: int
) -> None:
    answer = poke(platform, f"w{next(_numbers)}", does, **headers)

    assert answer.status_code == status
    assert CANARY not in answer.text


def test_a_package_that_breaks_at_an_answer_fails_that_answer_and_nobody_elses(
    platform: Platform, chat: AcmeChat
) -> None:
    assert poke(platform, "broken", "here").status_code == 200
    assert say(platform, "garden", "hello").status_code == 200

    Session(platform, id="acme:garden").wait("reply.delivered")
    broken = Session(platform, id="brittle:broken")
    broken.wait("reply.failed")
    tried = [json.loads(bytes(each.payload)) for each in broken.events("reply.attempt_failed")]
    assert {each["error"] for each in tried} == {"ambiguous"}
    begun = [json.loads(bytes(each.payload))["job"] for each in broken.events("reply.started")]
    # The note that it could not be posted is tried as well.
    assert begun.count(f"{broken.id}@r1") == 2
    assert told(platform, "/api/inbound?source=brittle&state=routed")["deliveries"]
    assert broken.events("processor.faulted") == []
    assert told(platform, "/api/inbound?state=pending")["deliveries"] == []


def test_an_installed_channel_is_told_with_its_address(platform: Platform) -> None:
    assert '"acme"' in platform.logs()
    assert "/webhooks/in/acme" in platform.logs()


def test_a_worker_that_dies_right_after_the_answer_was_said_leaves_it_said_once(
    platform: Platform, chat: AcmeChat
) -> None:
    died = platform.arm("deliver.sent")
    assert say(platform, "tower", "hello").status_code == 200
    wait_until(died)
    wait_until(lambda: platform.revive() == 1)

    Session(platform, id="acme:tower").wait("reply.delivered", within_s=40)
    assert len(chat.in_room("tower")) == 1
