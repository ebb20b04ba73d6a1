"""The sources of an installation, made from its settings and its configuration."""

from __future__ import annotations

from services.channels.accounts import Accounts
from services.config import Config
from services.inbound.contract import Sources
from services.inbound.rules import Rules
from services.inbound.slack import USUAL as SLACK_USUAL
from services.inbound.slack import SlackSource
from services.settings import Settings


def sources_of(settings: Settings, config: Config, accounts: Accounts) -> Sources:
    """Every source by name; those that are off say why."""
    slack = SlackSource(
        settings.slack,
        Rules("slack", config.routes, config.agents, usual=SLACK_USUAL),
        accounts.slack,
    )
    return {slack.name: slack}
