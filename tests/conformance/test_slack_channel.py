"""The channel `slack` passes the suite every channel must pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from services.channels.contract import Channel, Letter
from services.channels.slack.channel import SlackChannel
from tests.conformance.channel_suite import OUTSIDE, RETRY_AFTER_S, Behaviour, ChannelSuite, Stand
from tests.fakes.slack_faults import Fault, dropped, held, limited, refused
from tests.fakes.slack_letters import client_of, reply_to
from tests.fakes.slack_server import Call, SlackServer

FAULTS: Mapping[Behaviour, Fault | None] = {
    "accept": None,
    "reject": refused(OUTSIDE),
    "overload": limited(int(RETRY_AFTER_S)),
    "hold": held(),
    "hang_up": dropped(),
}


class SlackStand:
    """The channel and a workspace; every letter has a thread of its own."""

    def __init__(self, server: SlackServer) -> None:
        self.channel: Channel = SlackChannel(client_of(server))
        self._server = server

    def letter(self) -> Letter:
        return reply_to(self._server.workspace.say("<@U0TURNWRI> hello"))

    def letter_to_nobody(self) -> Letter:
        letter = self.letter()
        self._server.leave()
        return letter

    def will(self, *behaviours: Behaviour) -> None:
        self._server.will(*(FAULTS[each] for each in behaviours), method="chat.postMessage")

    def arrived(self) -> list[str]:
        return [each.params["metadata"]["event_payload"]["marker"] for each in self._posts()]

    def wait_arrived(self, count: int) -> None:
        self._server.wait_for(lambda server: len(self._posts()) >= count)

    def _posts(self) -> list[Call]:
        return self._server.of("chat.postMessage")


class TestSlackChannel(ChannelSuite):
    @pytest.fixture
    def stand(self) -> Iterator[Stand]:
        with SlackServer() as server:
            yield SlackStand(server)
