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
        from services.channels.github.access import api_for

        settings = self._settings.github
        with self._lock:
            if self._github is None:
                self._github = api_for(
                    settings.api_url,
                    token=settings.token,
                    app_id=settings.app_id,
                    private_key=settings.private_key,
                )
            return self._github
