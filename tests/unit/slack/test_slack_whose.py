"""Doctor asks Slack whose workspace it is, and says what to do where Slack does not know us."""

from __future__ import annotations

import pytest

from services.channel_settings import SlackSettings
from services.diagnosis.slack import workspace_of
from services.variables import Secret
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import TEAM, TOKEN


def _settings(slack: SlackServer, token: str = TOKEN) -> SlackSettings:
    return SlackSettings(signing_secrets=(Secret("secret"),), bot_token=Secret(token), api_url=slack.api_url)


def test_it_says_whose_workspace_it_is(slack: SlackServer) -> None:
    assert workspace_of(_settings(slack)) == (
        True,
        f"speaks in the workspace Acme ({TEAM}); what comes from any other is refused",
    )


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("invalid_auth", "does not know TURNWRIGHT_SLACK_BOT_TOKEN"),
        ("token_revoked", "was revoked: install the app again"),
        ("account_inactive", "the app was removed"),
    ],
)
def test_it_says_what_to_do_about_a_token_that_is_not_taken(
    slack: SlackServer, state: str, told: str
) -> None:
    slack.workspace.token_state[TOKEN] = state

    is_known, said = workspace_of(_settings(slack))

    assert not is_known
    assert told in said
    assert TOKEN not in said


def test_it_says_so_when_nobody_is_there(slack: SlackServer) -> None:
    slack.leave()

    is_known, said = workspace_of(_settings(slack))

    assert (is_known, said.startswith("Slack can not be asked who we are (")) == (False, True)


def test_a_name_that_can_not_be_found_is_a_matter_of_the_network() -> None:
    settings = SlackSettings(
        signing_secrets=(Secret("secret"),), bot_token=Secret(TOKEN), api_url="https://slack.invalid/api/"
    )

    is_known, said = workspace_of(settings)

    assert not is_known
    assert said.endswith("check the network, and TURNWRIGHT_SLACK_API_URL")
