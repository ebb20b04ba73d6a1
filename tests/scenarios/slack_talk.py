"""Talking to the platform as people in Slack do: signed requests in, what the workspace shows out."""

from __future__ import annotations

import httpx2

from services.channels.slack.address import SlackAddress
from services.streams.event import StreamId
from tests.fakes.slack_requests import SECRET, SlackRequest
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import TEAM, TOKEN, Message
from tests.scenarios.platform import Platform
from tests.worker.waiting import wait_until

ENVIRONMENT = {"TURNWRIGHT_SLACK_SIGNING_SECRET": SECRET, "TURNWRIGHT_SLACK_BOT_TOKEN": TOKEN}


class Talk:
    """People and the app in one workspace."""

    def __init__(self, platform: Platform, slack: SlackServer) -> None:
        self.platform, self.slack = platform, slack

    def send(self, request: SlackRequest) -> httpx2.Response:
        """One request of Slack's."""
        headers = {**request.headers, "Authorization": ""}
        return self.platform.http.post(request.path, content=request.body, headers=headers)

    def deliver(self, *requests: SlackRequest) -> None:
        """Requests of Slack's, all of which must be acknowledged."""
        for each in requests:
            answer = self.send(each)
            assert answer.status_code == 200, answer.text

    def replies(self, message: Message) -> list[str]:
        """What the app said in the thread of `message`."""
        thread = self.slack.workspace.thread(message.channel, message.thread_ts or message.ts)
        return [each.said for each in thread if each.bot_id]

    def wait_replies(self, message: Message, count: int = 1, *, within_s: float = 15.0) -> list[str]:
        """Wait until the app said so much in the thread of `message`."""
        wait_until(
            lambda: len(self.replies(message)) >= count,
            within_s=within_s,
        )
        return self.replies(message)

    @staticmethod
    def session(message: Message) -> StreamId:
        """The session of the thread of `message`."""
        thread_ts = message.thread_ts or message.ts
        return StreamId(SlackAddress(team=TEAM, channel=message.channel, thread_ts=thread_ts).encode())
