"""The sources of an installation, made from its settings and its configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from services.channels.accounts import Accounts
from services.channels.installed import Installed
from services.config import Config
from services.inbound.answering import Answering
from services.inbound.contract import Source, Sources
from services.inbound.github import DEBOUNCE_MS as GITHUB_DEBOUNCE_MS
from services.inbound.github import USUAL as GITHUB_USUAL
from services.inbound.github import GitHubSource
from services.inbound.plugged import PluggedSource
from services.inbound.rules import Rules
from services.inbound.slack import DEBOUNCE_MS as SLACK_DEBOUNCE_MS
from services.inbound.slack import USUAL as SLACK_USUAL
from services.inbound.slack import SlackSource
from services.inbound.standard import StandardSource
from services.settings import Settings


def sources_of(
    settings: Settings,
    config: Config,
    accounts: Accounts,
    answering: Callable[[], Answering],
    channels: Mapping[str, Installed],
) -> Sources:
    """Every source by name, those of `channels` that packages bring too; those that are off say why."""
    slack = SlackSource(
        settings.slack,
        Rules("slack", config.routes, config.agents, usual=SLACK_USUAL, debounce_ms=SLACK_DEBOUNCE_MS),
        accounts.slack,
        answering,
    )
    github = GitHubSource(
        settings.github,
        Rules(
            "github",
            config.routes,
            config.agents,
            usual=GITHUB_USUAL,
            debounce_ms=GITHUB_DEBOUNCE_MS,
            folds=True,
        ),
        accounts.github,
    )
    others = [
        StandardSource(
            each,
            settings.sources.get(each.name, ()),
            Rules(each.name, config.routes, config.agents, usual=frozenset()),
        )
        for each in config.sources
    ]
    brought = [
        PluggedSource(each, each.receiver, Rules(name, config.routes, config.agents, usual=frozenset()))
        for name, each in channels.items()
        if each.receiver is not None
    ]
    every: list[Source] = [slack, github, *others, *brought]
    return {source.name: source for source in every}
