"""The channel `http` passes the suite every channel must pass."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator

import pytest

from services.channels.contract import Channel, Letter
from services.channels.http.addresses import Addresses
from services.channels.http.channel import HTTPChannel
from tests.conformance.channel_suite import OUTSIDE, RETRY_AFTER_S, Behaviour, ChannelSuite, Stand
from tests.fakes.callback_server import CallbackServer, HangUp, Held, Script, Status
from tests.fakes.letters import letter_to

SCRIPTS: dict[Behaviour, Script] = {
    "accept": Status(),
    "reject": Status(status=500, body=OUTSIDE.encode()),
    "overload": Status(status=503, headers=(("retry-after", str(int(RETRY_AFTER_S))),)),
    "hold": Held(),
    "hang_up": HangUp(),
}


class HTTPStand:
    """The channel, allowed to reach a receiver on this machine."""

    def __init__(self, server: CallbackServer) -> None:
        allowed = Addresses([ipaddress.ip_network("127.0.0.0/8")])
        self.channel: Channel = HTTPChannel(allowed, lambda: [b"k" * 32])
        self._server = server

    def letter(self) -> Letter:
        return letter_to(f"{self._server.url}/hook")

    def letter_to_nobody(self) -> Letter:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            return letter_to(f"http://127.0.0.1:{unused.getsockname()[1]}/hook")

    def will(self, *behaviours: Behaviour) -> None:
        self._server.will(*(SCRIPTS[each] for each in behaviours))

    def arrived(self) -> list[str]:
        return [each.id for each in self._server.received]

    def wait_arrived(self, count: int) -> None:
        self._server.wait_for(lambda server: len(server.received) >= count)


class TestHTTPChannel(ChannelSuite):
    @pytest.fixture
    def stand(self) -> Iterator[Stand]:
        with CallbackServer() as server:
            yield HTTPStand(server)
