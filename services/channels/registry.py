"""The channels of an installation, made from its settings."""

from __future__ import annotations

from collections.abc import Mapping

from services.channels.accounts import Accounts
from services.channels.contract import Channel
from services.channels.http.addresses import Addresses
from services.channels.http.channel import HTTPChannel
from services.channels.http.secrets import COPY_NAME, SigningSecrets
from services.settings import Settings
from services.streams.keys import Keys
from services.streams.store import Store


def channels_of(settings: Settings, store: Store, keys: Keys, accounts: Accounts) -> Mapping[str, Channel]:
    """Every channel that is on, by name. Makes the callback secret at the first start. Raises: Unavailable."""
    secrets = SigningSecrets(store, keys.callback_secrets)
    secrets.ensure(configured=settings.callback_secrets, copy=settings.home / COPY_NAME)
    http = HTTPChannel(Addresses(settings.callback_allow), secrets.keys, public_url=settings.public_url)
    found: dict[str, Channel] = {http.name: http}
    if not settings.slack.off:
        from services.channels.slack.channel import SlackChannel

        found[SlackChannel.name] = SlackChannel(accounts.slack())
    if not settings.github.off:
        from services.channels.github.channel import GitHubChannel

        found[GitHubChannel.name] = GitHubChannel(accounts.github(), login=settings.github.login)
    return found
