"""Which ways in are open: each channel and other sender on or off, why, and what looks unintended. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from services.channel_settings import SlackSettings
from services.channels.installed import Installed
from services.config import Config
from services.llm.offline import NAME as OFFLINE
from services.plugins import models_of
from services.settings import Settings

# The second where tokens are rotated.
_BOTS_TOKEN = ("xoxb-", "xoxe.xoxb-")


class ChannelState(msgspec.Struct, frozen=True, kw_only=True):
    """One way in. `off` says why it is closed, empty when it is open; `path` is where its webhooks go, empty for
    one that only sends.

    `doubts` are what a person probably did not mean.
    """

    name: str
    path: str
    off: str = ""
    doubts: tuple[str, ...] = ()

    def told(self, base: str = "") -> str:
        """On or off, and why; `base` is the address of the server."""
        if self.off:
            return f"off: {self.off}"
        return f"on, webhooks to {base}{self.path}" if self.path else "on, takes no webhooks"


def channel_states(
    settings: Settings, config: Config, installed: Mapping[str, Installed]
) -> tuple[ChannelState, ...]:
    """Every channel, those that packages bring too; then every sender of `[[sources]]`, and whose secret is alone."""
    slack, github = settings.slack, settings.github
    has_slack = bool(slack.signing_secrets) or slack.bot_token is not None
    has_github = bool(github.webhook_secrets or github.token or github.app_id or github.login)
    states = [
        _token_checked(slack, _channel("slack", "/webhooks/slack/events", slack.off, is_begun=has_slack)),
        _channel("github", "/webhooks/github", github.off, is_begun=has_github),
        *(_brought(each) for _, each in sorted(installed.items())),
        *(_source(settings, each.name) for each in config.sources),
    ]
    return (*(_doubted(settings, config, each) for each in states), *_alone(settings, config))


def _channel(name: str, path: str, off: str, *, is_begun: bool) -> ChannelState:
    doubts = ("only a part of it is set",) if off and is_begun else ()
    return ChannelState(name=name, path=path, off=off, doubts=doubts)


def _token_checked(slack: SlackSettings, state: ChannelState) -> ChannelState:
    """An app's page shows tokens of several kinds, of which only a bot's posts."""
    if slack.bot_token is None or slack.bot_token.reveal().startswith(_BOTS_TOKEN):
        return state
    doubt = f"TURNWRIGHT_SLACK_BOT_TOKEN is none of a bot, which begins with {_BOTS_TOKEN[0]}"
    return msgspec.structs.replace(state, doubts=(*state.doubts, doubt))


def _brought(installed: Installed) -> ChannelState:
    path = f"/webhooks/in/{installed.name}" if installed.receiver is not None else ""
    return ChannelState(name=installed.name, path=path, off=installed.off)


def _source(settings: Settings, name: str) -> ChannelState:
    off = "" if settings.sources.get(name) else f"not set: {_variable(name)}"
    doubts = ("[[sources]] names it, but nobody can sign for it",) if off else ()
    return ChannelState(name=name, path=f"/webhooks/in/{name}", off=off, doubts=doubts)


def _doubted(settings: Settings, config: Config, state: ChannelState) -> ChannelState:
    if state.off:
        return state
    named = {"default", *(route.agent for route in config.routes if route.source == state.name)}
    agents = sorted(name for name in named if set(models_of(settings, config.agents[name])) == {OFFLINE})
    if not agents:
        return state
    doubt = f"agent {', '.join(agents)} answers with the offline model, which only repeats"
    return msgspec.structs.replace(state, doubts=(*state.doubts, doubt))


def _alone(settings: Settings, config: Config) -> Iterator[ChannelState]:
    known = {each.name for each in config.sources}
    for name in sorted(set(settings.sources) - known):
        off = "no [[sources]] of the configuration has this name"
        doubts = (f"{_variable(name)} is set, but {off}",)
        yield ChannelState(name=name, path=f"/webhooks/in/{name}", off=off, doubts=doubts)


def _variable(name: str) -> str:
    return f"TURNWRIGHT_SOURCE_{name.upper().replace('-', '_')}_SECRET"
