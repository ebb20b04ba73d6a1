"""`turnwright doctor` says in whose name GitHub is spoken to, or what keeps it from knowing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from services.channel_settings import GitHubSettings
from services.diagnosis.github import account_of
from services.variables import Secret
from tests.fakes.github_server import Drop, GitHubServer, Refuse
from tests.fakes.github_world import app_key_pem


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    with GitHubServer() as server:
        yield server


def app(server: GitHubServer, *, login: str = "turnwright", key: str = "") -> GitHubSettings:
    return GitHubSettings(
        webhook_secrets=(Secret("s"),),
        app_id=int(server.world.app_id),
        private_key=Secret(key or app_key_pem()),
        login=login,
        api_url=server.url,
    )


def test_an_app_and_a_token_know_who_they_are(server: GitHubServer) -> None:
    assert account_of(app(server)) == (
        True,
        "writes as turnwright[bot]; whoever may write to a repository can call @turnwright there",
    )
    token = Secret(server.world.plain_token("my-bot"))
    person = GitHubSettings(webhook_secrets=(Secret("s"),), token=token, login="My-Bot", api_url=server.url)
    assert account_of(person)[0]


def test_who_is_called_by_another_name_is_told(server: GitHubServer) -> None:
    is_known, said = account_of(app(server, login="other"))

    assert not is_known
    assert "set TURNWRIGHT_GITHUB_LOGIN to turnwright[bot]" in said


def test_what_keeps_github_from_knowing_us_is_said(server: GitHubServer) -> None:
    server.will(Refuse(status=401, message="Bad credentials"), Drop(), method="GET", ending="/app")

    assert "revoked or expired" in account_of(app(server))[1]
    assert "can not be asked who we are (" in account_of(app(server))[1]
    is_known, said = account_of(app(server, key="-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"))
    assert not is_known
    assert "TURNWRIGHT_GITHUB_PRIVATE_KEY" in said
