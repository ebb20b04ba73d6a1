"""Who we are on the systems people talk through: one client for each, made when it is first needed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from services.errors import Defect
from services.settings import Settings

if TYPE_CHECKING:
    from services.channels.github.api import API
    from services.channels.slack.client import SlackClient


class Accounts:
    """The clients of one process, which share their connections and what they know of limits."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._slack: SlackClient | None = None
        self._github: API | None = None

    def slack(self) -> SlackClient:
        """The bot of the one workspace. Only where Slack is on. Raises: ConfigurationError."""
        from services.channels.slack.client import SlackClient

        settings = self._settings.slack
        with self._lock:
            if self._slack is None:
                if settings.bot_token is None:
                    raise Defect("Slack is off")
                self._slack = SlackClient(settings.bot_token, api_url=settings.api_url)
            return self._slack

    def github(self) -> API:
        """The token's account, or the app. Only where GitHub is on."""
        from services.channels.github.api import API
        from services.channels.github.client import Client
        from services.channels.github.tokens import AppName, AppTokens, PlainToken, Tokens

        settings = self._settings.github
        with self._lock:
            if self._github is None:
                client = Client(settings.api_url)
                tokens: Tokens
                if settings.token is not None:
                    tokens = PlainToken(settings.token)
                elif settings.app_id is not None and settings.private_key is not None:
                    tokens = AppTokens(client, AppName(settings.app_id, settings.private_key))
                else:
                    raise Defect("GitHub is off")
                self._github = API(client, tokens)
            return self._github
