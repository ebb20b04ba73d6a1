"""The channels of an installation, made from its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from services.channels.accounts import Accounts
from services.channels.contract import Channel
from services.channels.ends import Answered, Ends
from services.channels.http.addresses import Addresses
from services.channels.http.channel import HTTPChannel
from services.channels.http.secrets import COPY_NAME, SigningSecrets
from services.channels.installed import Installed
from services.channels.signs import Signs
from services.config import Config
from services.settings import Settings
from services.streams.keys import Keys
from services.streams.store import Store

if TYPE_CHECKING:
    from services.channels.github.working import GitHubSigns
    from services.channels.slack.working import SlackSigns


def channels_of(
    settings: Settings,
    store: Store,
    keys: Keys,
    accounts: Accounts,
    installed: Mapping[str, Installed],
    *,
    ends: Ends,
) -> Mapping[str, Channel]:
    """Every channel that is on, by name, those of packages too. Makes the callback secret at the first start.

    Raises: Unavailable.
    """
    secrets = SigningSecrets(store, keys.callback_secrets)
    secrets.ensure(configured=settings.callback_secrets, copy=settings.home / COPY_NAME)
    http = HTTPChannel(Addresses(settings.callback_allow), secrets.keys, public_url=settings.public_url)
    found: dict[str, Channel] = {http.name: http}
    if not settings.slack.off:
        from services.channels.slack.channel import SlackChannel

        found[SlackChannel.name] = SlackChannel(accounts.slack(), Answered(_slack_signs(accounts), ends))
    if not settings.github.off:
        from services.channels.github.channel import GitHubChannel

        answered = Answered(_github_signs(settings, accounts), ends)
        found[GitHubChannel.name] = GitHubChannel(
            accounts.github(), login=settings.github.login, answered=answered
        )
    return {name: each.channel for name, each in installed.items() if not each.off} | found


def signs_of(settings: Settings, config: Config, accounts: Accounts) -> Mapping[str, Signs]:
    """How threads are shown that a turn runs, by what the sessions of a channel begin with."""
    found: dict[str, Signs] = {}
    if not settings.slack.off:
        found |= dict.fromkeys(_prefixes("slack", config), _slack_signs(accounts))
    if not settings.github.off:
        found |= dict.fromkeys(_prefixes("github", config), _github_signs(settings, accounts))
    return found


def _prefixes(source: str, config: Config) -> list[str]:
    """What sessions of a source begin with, by default and by its routes."""
    templates = (route.session for route in config.routes if route.source == source)
    return sorted({f"{source}:", *(template.partition("{")[0] for template in templates if template)})


def _slack_signs(accounts: Accounts) -> SlackSigns:
    from services.channels.slack.status import WorkingStatus
    from services.channels.slack.working import SlackSigns

    return SlackSigns(WorkingStatus(accounts.slack()))


def _github_signs(settings: Settings, accounts: Accounts) -> GitHubSigns:
    from services.channels.github.progress import Progress
    from services.channels.github.working import GitHubSigns

    progress = Progress(accounts.github())
    return GitHubSigns(progress, settings.namespace, after_s=settings.timings.show_work_s)
