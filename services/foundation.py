"""What a process is before it reached the log store: settings, configuration, plugins, telemetry, channels.

Makes no connection. All that can be wrong with the environment and the file is found here.
"""

from __future__ import annotations

from collections.abc import Callable

from services.channels.accounts import Accounts
from services.config import Config, load_config
from services.faults import Faults
from services.inbound.answering import Answering
from services.inbound.contract import Sources
from services.inbound.registry import sources_of
from services.plugins import check_plugins
from services.settings import Settings, store_addresses
from services.streams.store import Store
from services.telemetry.process import Telemetry


class Foundation:
    """Everything that needs no log store. `telemetry` is stopped by its maker.

    Raises: ConfigurationError; Unavailable when the embedded stores were never started.
    """

    def __init__(self, settings: Settings, *, telemetry: Telemetry | None = None) -> None:
        self.settings = settings
        self.telemetry = telemetry or Telemetry()
        self.config: Config = load_config(settings.config_path)
        self.plugins = check_plugins(settings, self.config)
        self.accounts = Accounts(settings)
        self.faults = Faults(settings.test_faults)
        self.baggage_keys = frozenset(self.config.telemetry.baggage)
        self.store_url, self.broker_url = store_addresses(settings)

    def store(self) -> Store:
        """A way to the log store, timed; to be closed. Connects when it is used."""
        return Store(self.store_url, timed=self._time)

    def hasty_store(self, answer_s: float) -> Store:
        """The same, asked once more after a lost connection and never after `answer_s` without an answer."""
        return Store(self.store_url, timeout_s=answer_s, retries=1, repeats_timeouts=False, timed=self._time)

    def sources(self, answering: Callable[[], Answering]) -> Sources:
        """Who may send webhooks; `answering` knows where some of them are answered."""
        return sources_of(self.settings, self.config, self.accounts, answering, self.plugins.channels)

    def _time(self, script: str, seconds: float) -> None:
        self.telemetry.counters.observe("turnwright_store_seconds", seconds, script)
