"""Only who may write makes an agent work, by GitHub's own word, asked once in a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from services.channels.contract import DeliveryError
from services.channels.github.events import Person
from services.channels.github.permissions import GRANTED_S, KEPT, REFUSED_S, Permissions
from services.errors import Overloaded, Unavailable
from tests.fakes.github_server import BadGateway, GitHubServer, Hang, Refuse, secondary_limit
from tests.fakes.github_stand import GitHubStage, where
from tests.fakes.letters import FakeSending

ASK = "/permission"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def stage() -> Iterator[GitHubStage]:
    with GitHubServer() as server:
        yield GitHubStage(server)


def person(login: str, *, is_bot: bool = False, is_self: bool = False) -> Person:
    return Person(login=login, id=1, is_bot=is_bot, is_self=is_self)


def asked(stage: GitHubStage) -> int:
    return len(stage.server.to("GET", ASK))


@pytest.mark.parametrize(
    ("role", "permission", "denial"),
    [
        ("admin", "admin", None),
        ("maintain", "write", None),
        ("write", "write", None),
        ("triage", "read", "no_write_access"),
        ("read", "read", "no_write_access"),
        (None, "read", "no_write_access"),
    ],
)
def test_who_may_write_may_start_work(
    stage: GitHubStage, role: str | None, permission: str, denial: str | None
) -> None:
    if role:
        stage.repository.roles["ada"] = role

    verdict = Permissions(stage.api).judge(where(stage.repository), person("ada"))

    assert (verdict.permission, verdict.denial) == (permission, denial)


def test_a_role_is_worth_its_base_whatever_it_is_called(stage: GitHubStage) -> None:
    stage.repository.roles = {"ada": "write access", "bob": "lurkers"}
    stage.repository.base_of_role = {"write access": "read", "lurkers": "write"}
    permissions = Permissions(stage.api)

    assert permissions.of(where(stage.repository), "ada") == "read"
    assert permissions.of(where(stage.repository), "bob") == "write"


def test_strangers_to_a_private_repository_may_nothing(stage: GitHubStage) -> None:
    stage.repository.is_private = True

    assert Permissions(stage.api).of(where(stage.repository), "mallory") == "none"
    assert Permissions(stage.api).of(where(stage.repository), "a-nobody") == "none"


def test_a_value_nobody_knows_is_none(stage: GitHubStage) -> None:
    stage.repository.roles = {"ada": "odd"}
    stage.repository.base_of_role = {"odd": "superuser"}

    assert Permissions(stage.api).of(where(stage.repository), "ada") == "none"


def test_bots_may_what_people_may(stage: GitHubStage) -> None:
    stage.repository.roles["helper[bot]"] = "admin"
    permissions = Permissions(stage.api)

    assert permissions.judge(where(stage.repository), person("helper[bot]", is_bot=True)).denial is None
    stranger = permissions.judge(where(stage.repository), person("stranger[bot]", is_bot=True))
    assert stranger.denial == "no_write_access"
    no_user = permissions.judge(where(stage.repository), person("an-app-nobody", is_bot=True))
    assert no_user.denial == "no_write_access"


def test_that_a_place_is_gone_is_nobodys_lack_of_permission(stage: GitHubStage) -> None:
    stage.world.installations[stage.repository.installation].is_gone = True

    with pytest.raises(DeliveryError) as caught:
        Permissions(stage.api).judge(where(stage.repository), person("ada"))

    assert (caught.value.kind, caught.value.code) == ("gone", "installation_gone")


def test_neither_we_nor_nobody_start_anything(stage: GitHubStage) -> None:
    permissions = Permissions(stage.api)

    assert permissions.judge(where(stage.repository), None).denial == "nobody"
    us = person("turnwright[bot]", is_bot=True, is_self=True)
    assert permissions.judge(where(stage.repository), us).denial == "self"


def test_an_answer_is_believed_for_a_while(stage: GitHubStage) -> None:
    clock = Clock()
    permissions = Permissions(stage.api, clock=clock)
    stage.repository.roles["ada"] = "write"
    assert permissions.of(where(stage.repository), "ada") == "write"
    stage.repository.roles.clear()

    clock.now += GRANTED_S - 1
    assert permissions.of(where(stage.repository), "Ada") == "write"
    assert asked(stage) == 1
    clock.now += 2
    assert permissions.of(where(stage.repository), "ada") == "read"


def test_a_no_is_believed_for_less(stage: GitHubStage) -> None:
    clock = Clock()
    permissions = Permissions(stage.api, clock=clock)
    assert permissions.of(where(stage.repository), "ada") == "read"
    stage.repository.roles["ada"] = "write"

    clock.now += REFUSED_S + 1

    assert permissions.of(where(stage.repository), "ada") == "write"


def test_one_thread_asks_for_all(stage: GitHubStage) -> None:
    stage.repository.roles["ada"] = "write"
    gate = Hang()
    stage.server.will(gate, method="GET", ending=ASK)
    permissions = Permissions(stage.api)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(permissions.of(where(stage.repository), "ada")))
        for _ in range(8)
    ]
    for each in threads:
        each.start()
    stage.server.wait_for(lambda server: asked(stage) == 1)

    gate.opened.set()
    for each in threads:
        each.join(10)

    assert found == ["write"] * 8
    assert asked(stage) == 1


def test_who_asks_and_who_waits_for_it_can_be_stopped(stage: GitHubStage) -> None:
    stage.server.will(Hang(), method="GET", ending=ASK)
    permissions = Permissions(stage.api)
    sendings = [FakeSending(), FakeSending()]
    kinds: list[str] = []

    def ask(sending: FakeSending) -> None:
        try:
            permissions.of(where(stage.repository), "ada", sending)
        except DeliveryError as error:
            kinds.append(error.kind)

    threads = [threading.Thread(target=ask, args=(each,)) for each in sendings]
    threads[0].start()
    stage.server.wait_for(lambda server: asked(stage) == 1)
    threads[1].start()
    for sending, thread in reversed(list(zip(sendings, threads, strict=True))):
        sending.cancel()
        thread.join(2)

    assert kinds == ["cancelled", "cancelled"]
    assert permissions.of(where(stage.repository), "ada") == "read"


def test_one_slow_answer_holds_nobody_else(stage: GitHubStage) -> None:
    gate = Hang()
    stage.server.will(gate, method="GET", ending=ASK)
    permissions = Permissions(stage.api)
    slow = threading.Thread(target=permissions.of, args=(where(stage.repository), "ada"))
    slow.start()
    stage.server.wait_for(lambda server: asked(stage) == 1)

    assert permissions.of(where(stage.repository), "bob") == "read"

    gate.opened.set()
    slow.join(10)


def test_what_github_does_not_say_now_is_asked_again(stage: GitHubStage) -> None:
    permissions = Permissions(stage.api)
    stage.repository.roles["ada"] = "write"
    stage.server.will(BadGateway(), secondary_limit(retry_after_s=8), method="GET", ending=ASK)

    with pytest.raises(Unavailable):
        permissions.of(where(stage.repository), "ada")
    with pytest.raises(Overloaded) as caught:
        permissions.of(where(stage.repository), "ada")

    assert caught.value.retry_after_s == 8
    stage.world.pass_time(8)
    assert permissions.of(where(stage.repository), "ada") == "write"


def test_when_our_token_may_not_ask_nobody_works_and_it_says_why(stage: GitHubStage) -> None:
    stage.server.will(Refuse(status=403, message="Must have push access"), method="GET", ending=ASK)

    verdict = Permissions(stage.api).judge(where(stage.repository), person("ada"))

    assert (verdict.permission, verdict.denial) == ("unreadable", "permission_unreadable")


def test_what_is_remembered_is_bounded(stage: GitHubStage) -> None:
    permissions = Permissions(stage.api)
    first = permissions._slot((1, "first"))

    for n in range(KEPT):
        permissions._slot((2, str(n)))

    assert permissions._slot((1, "first")) is not first
    assert len(permissions._known) == KEPT
