"""Where triggers are answered: what people write, held against what is on, and found out where it has to be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.channels.accounts import Accounts
from services.channels.contract import DeliveryError
from services.channels.github.target import target_of
from services.channels.places import Places
from services.errors import Invalid
from services.settings import load_settings
from tests.fakes.github_server import Drop, GitHubServer
from tests.fakes.github_world import Repository, app_key_pem
from tests.fakes.letters import FakeSending
from tests.fakes.slack_faults import refused
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import TEAM, TOKEN


@pytest.fixture
def github() -> Iterator[GitHubServer]:
    with GitHubServer() as server:
        yield server


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    with SlackServer() as server:
        yield server


@pytest.fixture
def repository(github: GitHubServer) -> Repository:
    return github.world.repository("octo/app")


def places(
    *, slack: SlackServer | None = None, github: GitHubServer | None = None, token: str = ""
) -> Places:
    """The places of an installation that speaks to these, on GitHub as the app unless there is a `token`."""
    variables: dict[str, str] = {}
    if slack is not None:
        variables |= {
            "TURNWRIGHT_SLACK_SIGNING_SECRET": "s" * 32,
            "TURNWRIGHT_SLACK_BOT_TOKEN": TOKEN,
            "TURNWRIGHT_SLACK_API_URL": slack.api_url,
        }
    if github is not None:
        speaks = {"TURNWRIGHT_GITHUB_TOKEN": token} if token else app_variables(github)
        variables |= {
            "TURNWRIGHT_GITHUB_WEBHOOK_SECRET": "s" * 32,
            "TURNWRIGHT_GITHUB_LOGIN": "turnwright",
            "TURNWRIGHT_GITHUB_API_URL": github.url,
            **speaks,
        }
    settings = load_settings(variables)
    return Places(settings, Accounts(settings), {})


def app_variables(github: GitHubServer) -> dict[str, str]:
    return {"TURNWRIGHT_GITHUB_APP_ID": github.world.app_id, "TURNWRIGHT_GITHUB_PRIVATE_KEY": app_key_pem()}


def test_a_channel_of_slack_is_one_of_our_workspace(slack: SlackServer) -> None:
    assert places(slack=slack).address("slack:C0GENERAL", FakeSending()) == f"slack:{TEAM}:C0GENERAL"


def test_whose_workspace_it_is_is_asked_until_slack_tells(slack: SlackServer) -> None:
    known = places(slack=slack)
    slack.will(refused("internal_error"), method="auth.test")

    with pytest.raises(DeliveryError):
        known.address("slack:C0GENERAL", FakeSending())

    assert known.address("slack:C0GENERAL", FakeSending()) == f"slack:{TEAM}:C0GENERAL"
    assert known.address("slack:C1", FakeSending()) == f"slack:{TEAM}:C1"
    assert len(slack.of("auth.test")) == 2


def test_an_issue_is_found_by_the_id_of_its_repository(github: GitHubServer, repository: Repository) -> None:
    address = places(github=github).address("github:octo/app#7", FakeSending())

    target = target_of(address)
    assert (target.number, target.repository.id) == (7, repository.id)
    assert target.repository.installation == repository.installation


def test_with_a_token_no_installation_is_asked_for(github: GitHubServer, repository: Repository) -> None:
    token = github.world.plain_token("turnwright")

    address = places(github=github, token=token).address("github:octo/app#7", FakeSending())

    assert target_of(address).repository.installation == 0


@pytest.mark.parametrize("name", ["octo/none", "nobody/app"])
def test_a_repository_that_is_not_ours_is_gone(
    github: GitHubServer, repository: Repository, name: str
) -> None:
    with pytest.raises(DeliveryError) as error:
        places(github=github).address(f"github:{name}#1", FakeSending())

    assert (error.value.kind, error.value.code) == ("gone", "no_such_repository")


def test_github_that_does_not_answer_is_asked_again(github: GitHubServer, repository: Repository) -> None:
    known = places(github=github)
    github.will(Drop(), method="GET", ending="/repos/octo/app/installation")

    with pytest.raises(DeliveryError) as error:
        known.address("github:octo/app#7", FakeSending())

    assert error.value.kind == "not_sent"
    assert known.address("github:octo/app#7", FakeSending())


@pytest.mark.parametrize(
    ("answer_in", "reason"),
    [
        ("slack:general", "must be slack:<channel id>"),
        ("slack:", "must begin with one of"),
        ("slack:T1:C1", "must be slack:<channel id>"),
        ("slack:C0GENERAL\n", "must be slack:<channel id>"),
        ("github:octo/app", "must be github:<owner>/<repository>#<number"),
        ("github:octo/app#0", "must be github:<owner>/<repository>#<number"),
        ("github:../app#1", "must be github:<owner>/<repository>#<number"),
        ("github:octo/app#1#2", "must be github:<owner>/<repository>#<number"),
        ("matrix:room", "must begin with one of github:, slack:"),
        ("http:https://example.org", "must begin with one of github:, slack:"),
        ("", "must begin with one of"),
    ],
)
def test_what_names_no_place_is_refused(
    slack: SlackServer, github: GitHubServer, answer_in: str, reason: str
) -> None:
    known = places(slack=slack, github=github)

    with pytest.raises(Invalid) as refusal:
        known.check(answer_in)

    assert refusal.value.field == "answer_in"
    assert refusal.value.reason.startswith(reason)


def test_a_channel_that_is_off_is_refused_with_what_is_not_set() -> None:
    with pytest.raises(Invalid, match="slack is off: not set: TURNWRIGHT_SLACK_SIGNING_SECRET"):
        places().check("slack:C0GENERAL")
    with pytest.raises(DeliveryError) as error:
        places().address("slack:C0GENERAL", FakeSending())
    assert (error.value.kind, error.value.code) == ("refused", "no_such_place")
