"""Talking to the platform as people in Slack do: signed requests in, what the workspace shows out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import httpx2
import pytest

from services.channels.slack.address import SlackAddress, inbound_stream
from services.streams.event import StreamId
from tests.fakes.slack_requests import SECRET, SlackRequest, event_request, mention, said
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import BOT_USER, TEAM, TOKEN, Channel, Message
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform
from tests.scenarios.vendor import Gate
from tests.worker.waiting import wait_until

ENVIRONMENT = {"TURNWRIGHT_SLACK_SIGNING_SECRET": SECRET, "TURNWRIGHT_SLACK_BOT_TOKEN": TOKEN}
_numbers = itertools.count(1)


class Fate(NamedTuple):
    """What became of a delivery."""

    kind: str
    state: str
    reason: str


class Talk:
    """People and the app in one workspace."""

    def __init__(self, platform: Platform, slack: SlackServer) -> None:
        self.platform, self.slack = platform, slack

    def channel(self, kind: str = "channels") -> str:
        """A new conversation, so that tests do not hear each other."""
        id = f"{'D' if kind == 'im' else 'C'}0TALK{next(_numbers)}"
        self.slack.workspace.channels[id] = Channel(id=id, kind=kind)
        return id

    def send(self, request: SlackRequest) -> httpx2.Response:
        """One request of Slack's."""
        headers = {**request.headers, "Authorization": ""}
        return self.platform.http.post(request.path, content=request.body, headers=headers)

    def deliver(self, *requests: SlackRequest) -> None:
        """Requests of Slack's, all of which must be acknowledged."""
        for each in requests:
            answer = self.send(each)
            assert answer.status_code == 200, answer.text

    def call(self, text: str, *, channel: str = "", **more: Any) -> Message:
        """Name the app outside of threads, as Slack tells it."""
        message = self.slack.workspace.say(f"<@{BOT_USER}> {text}", channel=channel or self.channel())
        self.deliver(event_request(mention(message, **more)))
        return message

    def reply(self, to: Message, text: str, **more: Any) -> Message:
        """Say something in the thread of `to`, as Slack tells it."""
        thread_ts = to.thread_ts or to.ts
        message = self.slack.workspace.say(text, channel=to.channel, thread_ts=thread_ts)
        self.deliver(event_request(said(message, **more)))
        return message

    def call_held(self, text: str) -> tuple[Message, Gate]:
        """Name the app, and hold back what the model says to it, once it was asked."""
        message = self.slack.workspace.say(f"<@{BOT_USER}> {text}", channel=self.channel())
        gate = self.platform.vendor.hold(self.session(message))
        self.deliver(event_request(mention(message)))
        gate.wait_entered()
        return message, gate

    def asked(self, message: Message) -> list[str]:
        """The last words of every request the model got in the thread of `message`."""
        requests = self.platform.vendor.asked(self.session(message))
        return [each.messages[-1].text for each in requests]

    def replies(self, message: Message) -> list[str]:
        """What the app said in the thread of `message`."""
        thread = self.slack.workspace.thread(message.channel, message.thread_ts or message.ts)
        return [each.said for each in thread if each.bot_id]

    def wait_replies(self, message: Message, count: int = 1, *, within_s: float = 15.0) -> list[str]:
        """Wait until the app said so much in the thread of `message`."""
        wait_until(lambda: len(self.replies(message)) >= count, within_s=within_s)
        return self.replies(message)

    def fates(self, channel: str, *, team: str = TEAM) -> list[Fate]:
        """What became of everything that came from `channel`, once that is known, in the order it came."""
        stream = inbound_stream(team, channel)
        wait_until(lambda: self._count(stream, "inbound.received") == self._count(stream, "inbound.settled"))
        settled = {each["delivery"]: each for each in self._all(stream, "inbound.settled")}
        received = self._events(stream, "inbound.received")
        return [
            Fate(
                each["payload"]["kind"],
                settled[each["offset"]]["state"],
                settled[each["offset"]].get("reason", ""),
            )
            for each in received
        ]

    def events(self, session: StreamId, *types: str) -> list[dict[str, Any]]:
        """The payloads of a session's events of some types."""
        return [payload for type in types for payload in self._all(session, type)]

    def status(self, message: Message) -> str:
        """What the thread of `message` shows of the app's work: a status of Slack's, empty before there was any."""
        key = (message.channel, message.thread_ts or message.ts)
        return self.slack.workspace.statuses.get(key, "")

    @staticmethod
    def session(message: Message) -> StreamId:
        """The session of the thread of `message`."""
        thread_ts = message.thread_ts or message.ts
        return StreamId(SlackAddress(team=TEAM, channel=message.channel, thread_ts=thread_ts).encode())

    def _count(self, stream: StreamId, type: str) -> int:
        return len(self._events(stream, type))

    def _all(self, stream: StreamId, type: str) -> list[dict[str, Any]]:
        return [each["payload"] for each in self._events(stream, type)]

    def _events(self, stream: StreamId, type: str) -> list[dict[str, Any]]:
        answer = self.platform.http.get(f"/api/sessions/{stream}/events", params={"type": type, "limit": 500})
        assert answer.status_code in (200, 404), answer.text
        found: list[dict[str, Any]] = answer.json().get("events", [])
        return found


@contextmanager
def talking(
    factory: pytest.TempPathFactory, *, config: str = "", workers: int = 1, **timings: float
) -> Iterator[Talk]:
    """A whole platform with a workspace beside it, for the tests of a module."""
    with ExitStack() as held:
        slack = held.enter_context(SlackServer())
        setup = Setup(
            site=installed_site(factory),
            config=config,
            workers=workers,
            environment={**ENVIRONMENT, "TURNWRIGHT_SLACK_API_URL": slack.api_url},
            timings=timings,
        )
        yield Talk(held.enter_context(running_platform(factory.mktemp("slack"), setup)), slack)
