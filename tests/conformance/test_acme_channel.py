"""The example channel, installed as a user's, passes the suite every channel must pass, behind its border."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from services.channels.contract import Channel, Letter
from services.channels.installed import GROUP, installed_channels
from tests.conformance.channel_suite import OUTSIDE, RETRY_AFTER_S, Behaviour, ChannelSuite, Stand
from tests.fakes.acme_chat import SECRET, AcmeChat
from tests.fakes.letters import letter_to
from tests.plugins.install import install_plugin


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    target = tmp_path_factory.mktemp("site")
    install_plugin("acme_channel", target)
    sys.path.insert(0, str(target))
    yield target
    sys.path.remove(str(target))
    for name in [each for each in sys.modules if each.partition(".")[0] == "acme_channel"]:
        del sys.modules[name]


class AcmeStand:
    """The channel as its settings make it."""

    def __init__(self, chat: AcmeChat, environment: pytest.MonkeyPatch) -> None:
        environment.setenv("ACME_CHANNEL_SECRET", SECRET)
        environment.setenv("ACME_CHANNEL_URL", chat.url)
        self.channel: Channel = _channel()
        self._chat, self._rooms = chat, itertools.count(1)

    def letter(self) -> Letter:
        return letter_to(f"acme:room-{next(self._rooms)}")

    def letter_to_nobody(self) -> Letter:
        # The address is a setting of the channel, so there must be nobody at this one.
        self._chat.leave()
        return self.letter()

    def will(self, *behaviours: Behaviour) -> None:
        self._chat.will(*behaviours)

    def arrived(self) -> list[str]:
        return [each.marker for each in self._chat.attempts]

    def wait_arrived(self, count: int) -> None:
        self._chat.wait_for(lambda chat: len(chat.attempts) >= count)


def _channel() -> Channel:
    point = EntryPoint("acme", "acme_channel:AcmeChannel", GROUP)
    return installed_channels([point])["acme"].channel


class TestAcmeChannel(ChannelSuite):
    @pytest.fixture
    def stand(self, site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
        with AcmeChat(refusal=OUTSIDE.encode(), retry_after_s=int(RETRY_AFTER_S)) as chat:
            yield AcmeStand(chat, monkeypatch)
