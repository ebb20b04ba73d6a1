"""Callbacks on the real platform: an answer arrives, signed, in order and once, whatever happens to who sends it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from services.streams.vocabulary import ReplySettled
from tests.fakes.callback_server import CallbackServer, Held, Received, Status
from tests.scenarios.agent_session import Session
from tests.scenarios.cli_calls import Shell
from tests.scenarios.platform import TOKEN, Platform, Setup, installed_site, running_platform
from tests.scenarios.vendor import said
from tests.worker.waiting import wait_until

ATTEMPTS = 4
DOWN = Status(status=500, body=b"canary-of-the-answer")


@pytest.fixture(scope="module")
def receiver() -> Iterator[CallbackServer]:
    with CallbackServer() as server:
        yield server


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, receiver: CallbackServer) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        config=f"[limits]\ndelivery_attempts = {ATTEMPTS}\n",
        environment={"TURNWRIGHT_CALLBACK_ALLOW": "127.0.0.0/8", "TURNWRIGHT_LOG_LEVEL": "debug"},
    )
    with running_platform(tmp_path_factory.mktemp("callbacks"), setup) as platform:
        yield platform
    told = platform.logs()
    assert "canary" not in told
    assert "whsec_" not in told


@pytest.fixture
def session(platform: Platform) -> Session:
    return Session(platform)


Hook = Callable[[Session], str]


@pytest.fixture
def hook(receiver: CallbackServer) -> Hook:
    return lambda session: f"{receiver.url}{path_of(session)}"


def path_of(session: Session, name: str = "canary") -> str:
    return f"/{name}/{session.id}?token=canary-of-the-query"


def ids(received: list[Received]) -> list[str]:
    return [each.id for each in received]


def texts(received: list[Received]) -> list[str]:
    return [each.data["text"] for each in received]


def entries(session: Session) -> list[dict[str, Any]]:
    """What the outbox shows of a session."""
    answer = session.platform.http.get("/api/outbox", params={"session": session.id})
    assert answer.status_code == 200, answer.text
    assert "canary" not in answer.text
    found: list[dict[str, Any]] = answer.json()["entries"]
    return found


def states(session: Session) -> list[str]:
    return [entry["state"] for entry in entries(session)]


def decide(session: Session, entry: str, what: str) -> int:
    """Replay or discard an entry; the HTTP status."""
    return session.platform.http.post(f"/api/outbox/{entry}/{what}").status_code


def errors(session: Session, type: str = "reply.failed") -> list[str]:
    return [each.error for each in session.all(type, ReplySettled)]


def test_an_answer_is_posted_signed(
    platform: Platform, session: Session, receiver: CallbackServer, hook: Hook
) -> None:
    platform.vendor.will(session.id, said("It is canary seven."))
    offset = session.say("canary?", callback=hook(session))

    session.wait("reply.delivered")

    (received,) = receiver.to(path_of(session))
    secret = (platform.home / "callback-secret").read_text().strip()
    body = Webhook(secret).verify(received.body, received.headers)
    assert body == json.loads(received.body)
    assert body["type"] == "turn.settled"
    data = body["data"]
    assert (data["session"], data["turn"], data["outcome"]) == (session.id, 1, "answered")
    assert (data["inputs"], data["text"]) == ([offset], "It is canary seven.")
    assert received.headers["content-type"] == "application/json"
    assert "baggage" not in received.headers
    session.wait_idle()


def test_a_receiver_that_is_down_for_a_while_accepts_it_once_with_the_same_id(
    session: Session, receiver: CallbackServer, hook: Hook
) -> None:
    receiver.will(DOWN, DOWN, DOWN, path=path_of(session))
    session.say("hello", callback=hook(session))

    session.wait("reply.delivered", within_s=30)

    received = receiver.to(path_of(session))
    assert len(received) == 4
    assert len(set(ids(received))) == 1
    assert len({each.body for each in received}) == 1


def test_one_destination_that_hangs_does_not_hold_up_another(
    session: Session, receiver: CallbackServer
) -> None:
    held = Held()
    receiver.will(held, path=path_of(session, "canary-slow"))
    session.say("first", callback=f"{receiver.url}{path_of(session, 'canary-slow')}")
    receiver.wait_for(lambda server: bool(server.to(path_of(session, "canary-slow"))))

    session.say("second", callback=f"{receiver.url}{path_of(session)}")

    receiver.wait_for(lambda server: bool(server.to(path_of(session))))
    assert len(session.wait("reply.delivered")) == 1
    held.opened.set()
    session.wait("reply.delivered", 2)


def test_answers_arrive_in_order_although_the_first_one_fails(
    platform: Platform, session: Session, receiver: CallbackServer, hook: Hook
) -> None:
    receiver.will(DOWN, DOWN, path=path_of(session))
    for n in range(1, 4):
        platform.vendor.will(session.id, said(f"canary {n}"))
        session.say(f"canary {n}", callback=hook(session))

    session.wait("reply.delivered", 3, within_s=30)

    told = texts(receiver.to(path_of(session)))
    assert told == ["canary 1", "canary 1", "canary 1", "canary 2", "canary 3"]
    assert len(set(ids(receiver.to(path_of(session))))) == 3


def test_who_is_gone_gets_no_more_requests(session: Session, receiver: CallbackServer, hook: Hook) -> None:
    receiver.will(Status(status=410), path=path_of(session))
    session.say("hello", callback=hook(session))
    session.wait("reply.failed")

    session.say("again", callback=hook(session))
    session.wait("reply.failed", 2)

    assert errors(session) == ["gone", "gone"]
    assert len(receiver.to(path_of(session))) == 1
    assert states(session)[0] == "gone"


def test_a_redirect_is_not_followed(session: Session, receiver: CallbackServer, hook: Hook) -> None:
    elsewhere = f"{receiver.url}/canary-elsewhere/{session.id}"
    redirect = Status(status=307, headers=(("location", elsewhere),))
    receiver.will(redirect, path=path_of(session))
    session.say("hello", callback=hook(session))

    session.wait("reply.delivered")

    assert len(receiver.to(path_of(session))) == 2
    assert receiver.to(f"/canary-elsewhere/{session.id}") == []


def test_a_receiver_that_asks_for_time_gets_it(
    session: Session, receiver: CallbackServer, hook: Hook
) -> None:
    receiver.will(Status(status=503, headers=(("retry-after", "3600"),)), path=path_of(session))
    session.say("hello", callback=hook(session))
    session.wait("reply.attempt_failed")

    (entry,) = entries(session)
    assert (entry["state"], entry["attempts"], entry["error"], entry["code"]) == (
        *("backing_off", 1, "overloaded", "http_503"),
    )
    assert 3_590_000 < entry["next_attempt_at"] - entry["since"] < 3_660_000
    assert decide(session, entry["id"], "discard") == 202
    session.wait("reply.failed")
    assert errors(session) == ["discarded"]
    assert states(session) == ["discarded"]
    assert decide(session, entry["id"], "discard") == 202


def test_a_name_that_nobody_knows_backs_off(session: Session) -> None:
    session.say("hello", callback="http://no-such-name.invalid:9000/canary")

    session.wait("reply.attempt_failed")

    (entry,) = entries(session)
    assert (entry["error"], entry["code"]) == ("not_sent", "dns_failed")
    assert entry["address"] == "http://no-such-name.invalid:9000/…"
    assert decide(session, entry["id"], "discard") == 202
    session.wait("reply.failed")


def test_a_poisoned_entry_is_sent_again_by_a_person_with_the_same_id(
    session: Session, receiver: CallbackServer, hook: Hook
) -> None:
    receiver.will(*([DOWN] * ATTEMPTS), path=path_of(session))
    session.say("hello", callback=hook(session))
    session.wait("reply.failed", within_s=40)
    (entry,) = entries(session)
    assert (entry["state"], entry["attempts"], entry["status"]) == ("poisoned", ATTEMPTS, 500)
    assert (entry["error"], entry["code"]) == ("poisoned", "http_500")

    assert decide(session, entry["id"], "replay") == 202
    session.wait("reply.delivered")

    received = receiver.to(path_of(session))
    assert len(received) == ATTEMPTS + 1
    assert len(set(ids(received))) == 1
    assert decide(session, entry["id"], "replay") == 409
    replayed = entries(session)[0]["replayed_as"]
    assert decide(session, replayed, "replay") == 409
    assert decide(session, replayed, "discard") == 409


def test_an_entry_that_is_being_sent_can_be_discarded_and_not_replayed(
    session: Session, receiver: CallbackServer, hook: Hook
) -> None:
    receiver.will(Held(), path=path_of(session))
    session.say("hello", callback=hook(session))
    session.say("again", callback=hook(session))
    receiver.wait_for(lambda server: bool(server.to(path_of(session))))
    wait_until(lambda: states(session) == ["sending", "queued"])
    first, second = (entry["id"] for entry in entries(session))

    assert decide(session, first, "replay") == 409
    assert decide(session, first, "discard") == 202

    session.wait("reply.delivered")
    assert errors(session) == ["discarded"]
    assert decide(session, second, "replay") == 409


def test_a_worker_killed_while_the_receiver_thinks_sends_it_once_more(
    platform: Platform, session: Session, receiver: CallbackServer, hook: Hook
) -> None:
    receiver.will(Held(), path=path_of(session))
    session.say("hello", callback=hook(session))
    receiver.wait_for(lambda server: len(server.to(path_of(session))) == 1)

    platform.parts["worker-1"].kill()
    platform.start_worker()

    session.wait("reply.delivered", within_s=40)
    received = receiver.to(path_of(session))
    assert len(received) == 2
    assert len(set(ids(received))) == 1


def test_unknown_entries_are_not_found(platform: Platform, session: Session) -> None:
    session.say("hello")
    for entry in (f"{session.id}@r1", f"{session.id}@1", "app:nobody@r1"):
        assert decide(session, entry, "replay") == 404
        assert decide(session, entry, "discard") == 404


def test_the_command_line_lists_replays_and_discards(
    platform: Platform, session: Session, receiver: CallbackServer, hook: Hook, tmp_path: Path
) -> None:
    shell = Shell(home=tmp_path, variables={"TURNWRIGHT_URL": platform.url, "TURNWRIGHT_API_TOKEN": TOKEN})
    receiver.will(Status(status=410), path=path_of(session))
    session.say("hello", callback=hook(session))
    session.wait("reply.failed")
    entry = f"{session.id}@r1"

    listed = shell.run("outbox", "--session", session.id, "--state", "gone")
    assert (listed.status, listed.out.splitlines()[1].split()[:2]) == (0, [entry, "gone"])
    assert f"{receiver.url}/…" in listed.out
    page = json.loads(shell.run("outbox", "--session", session.id, "--json").out)
    assert [each["id"] for each in page["entries"]] == [entry]

    assert shell.run("outbox", "--replay", entry).out == "it is sent again\n"
    session.wait("reply.delivered")
    again = shell.run("outbox", "--replay", entry)
    assert (again.status, f"as {session.id}@r2" in again.err) == (1, True)
    assert shell.run("outbox", "--discard", entry, "--json").status == 0
    assert shell.run("outbox", "--discard", f"{session.id}@r2").status == 1
    for wrong in (("--replay", "x"), ("--replay", entry, "--discard", entry), ("--state", "lost")):
        assert shell.run("outbox", *wrong).status == 2


@pytest.mark.parametrize(
    "query", ["state=lost", "cursor=x", "cursor=app:x@1", "limit=0", "limit=101", "session=a/b", "x=1"]
)
def test_a_wrong_query_is_refused(platform: Platform, query: str) -> None:
    assert platform.http.get(f"/api/outbox?{query}").status_code == 422


def test_pages_of_the_outbox_hold_every_entry_once(platform: Platform, receiver: CallbackServer) -> None:
    sessions = [Session(platform) for _ in range(3)]
    for one in sessions:
        receiver.will(Held(), path=path_of(one))
        for _ in range(3):
            one.say("hello", callback=f"{receiver.url}{path_of(one)}")
    wanted = [f"{one.id}@r{n}" for one in sessions for n in range(1, 4)]
    wait_until(lambda: len({*listed_in_pages(platform)} & {*wanted}) == 9)

    found = listed_in_pages(platform)

    assert len(found) == len(set(found))
    for entry in wanted:
        assert platform.http.post(f"/api/outbox/{entry}/discard").status_code in (202, 409)


def listed_in_pages(platform: Platform) -> list[str]:
    """All entries, two at a time."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = platform.http.get("/api/outbox", params=query).json()
        found += [entry["id"] for entry in page["entries"]]
        cursor = page["cursor"]
        if cursor is None:
            return found
