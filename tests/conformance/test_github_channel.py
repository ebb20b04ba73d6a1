"""The channel `github` passes the suite every channel must pass, as an app and with a plain token."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from services.channels.contract import Channel, Letter
from services.channels.github.markers import mark_of
from tests.conformance.channel_suite import OUTSIDE, RETRY_AFTER_S, Behaviour, ChannelSuite, Stand
from tests.fakes.github_server import Drop, Fault, GitHubServer, Hang, Refuse, secondary_limit
from tests.fakes.github_stand import GitHubStage


def fault(behaviour: Behaviour) -> Fault | None:
    match behaviour:
        case "accept":
            return None
        case "reject":
            return Refuse(status=403, message=OUTSIDE)
        case "overload":
            return secondary_limit(retry_after_s=int(RETRY_AFTER_S))
        case "hold":
            return Hang()
        case "hang_up":
            return Drop()


class GitHubStand:
    """The channel, and GitHub on this machine."""

    def __init__(self, server: GitHubServer, *, as_app: bool) -> None:
        self._server = server
        self._stage = GitHubStage(server, as_app=as_app)
        self.channel: Channel = self._stage.channel

    def letter(self) -> Letter:
        return self._stage.letter()

    def letter_to_nobody(self) -> Letter:
        self._server.unplug()
        return self._stage.letter()

    def will(self, *behaviours: Behaviour) -> None:
        self._server.will(*(each for each in map(fault, behaviours) if each is not None))

    def arrived(self) -> list[str]:
        marks = [mark_of(json.loads(each.raw)["body"]) for each in self._server.to("POST", "/comments")]
        return [mark.marker for mark in marks if mark is not None]

    def wait_arrived(self, count: int) -> None:
        self._server.wait_for(lambda server: len(server.to("POST", "/comments")) >= count)


class TestGitHubChannelOfAnApp(ChannelSuite):
    @pytest.fixture
    def stand(self) -> Iterator[Stand]:
        with GitHubServer() as server:
            yield GitHubStand(server, as_app=True)


class TestGitHubChannelWithAToken(ChannelSuite):
    @pytest.fixture
    def stand(self) -> Iterator[Stand]:
        with GitHubServer() as server:
            yield GitHubStand(server, as_app=False)
