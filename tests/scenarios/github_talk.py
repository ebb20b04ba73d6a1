"""Talking to the platform as people on GitHub do: signed webhooks in, what the threads show out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx2

from services.channels.github.events import session_of
from services.channels.github.markers import mark_of
from services.channels.github.signature import signature_of
from services.streams.event import StreamId
from services.streams.inbound_events import InboundSettled
from services.variables import Secret
from tests.fakes.github_hooks import Hooks
from tests.fakes.github_server import GitHubServer
from tests.fakes.github_world import Comment, Delivered, Issue, Repository, app_key_pem
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform
from tests.worker.waiting import wait_until

SECRET, OLD_SECRET = "the-secret-of-the-webhook", "the-one-before-it"
LOGIN = "turnwright"


def environment(server: GitHubServer) -> dict[str, str]:
    """What an installation is given that speaks as the app of `server`."""
    return {
        "TURNWRIGHT_GITHUB_WEBHOOK_SECRET": f"{SECRET},{OLD_SECRET}",
        "TURNWRIGHT_GITHUB_APP_ID": server.world.app_id,
        "TURNWRIGHT_GITHUB_PRIVATE_KEY": app_key_pem(),
        "TURNWRIGHT_GITHUB_LOGIN": LOGIN,
        "TURNWRIGHT_GITHUB_API_URL": server.url,
    }


class Talk:
    """A repository of its own, where `ada` may write and others may not, and the app installed in it."""

    def __init__(self, platform: Platform, server: GitHubServer) -> None:
        self.platform, self.server, self.world = platform, server, server.world
        self.hooks = Hooks(self.world, secret=SECRET, url=f"{platform.url}/webhooks/github")
        self.repository = self.world.repository(
            f"octo/app-{self.world.id()}", roles={"ada": "write", "olga": "admin", "rob": "read"}
        )

    def issue(self, **changes: Any) -> Issue:
        """An issue nobody was told of."""
        return self.world.issue(self.repository, **changes)

    def say(
        self, issue: Issue, text: str = "@turnwright hello there", *, login: str = "ada", **more: Any
    ) -> Comment:
        """A comment, which GitHub tells of."""
        comment = self.world.comment(issue, text, login=login, **more)
        if comment.path:
            self.told(self.hooks.review_comment(self.repository, issue, comment))
        else:
            self.told(self.hooks.issue_comment(self.repository, issue, comment))
        return comment

    def told(self, delivered: Delivered) -> Delivered:
        """A webhook, which must be taken."""
        assert delivered.status == 200, delivered
        return delivered

    def post(self, body: bytes, **changes: str) -> httpx2.Response:
        """A webhook of one's own making; signed unless `signature` says otherwise."""
        headers = {
            "X-GitHub-Event": changes.get("event", "issue_comment"),
            "X-GitHub-Delivery": changes.get("guid", f"guid-{self.world.id()}"),
            "X-Hub-Signature-256": changes.get("signature", signature_of(Secret(SECRET), body)),
            "Content-Type": changes.get("content_type", "application/json"),
            "Authorization": "",
            **({"Content-Encoding": changes["encoding"]} if "encoding" in changes else {}),
        }
        raw = {name.encode(): value.encode() for name, value in headers.items()}
        return self.platform.http.post("/webhooks/github", content=body, headers=raw)

    def session(self, issue: Issue, repository: Repository | None = None) -> Session:
        """The conversation on `issue`."""
        return Session(self.platform, id=session_of((repository or self.repository).id, issue.number))

    def answers(self, issue: Issue) -> list[str]:
        """The comments that are answers, in order: each carries a marker."""
        with self.world.lock:
            said = [*issue.comments, *issue.review]
        return [each.body for each in said if each.login.startswith(LOGIN) and _is_answer(each.body)]

    def wait_answers(self, issue: Issue, count: int = 1, *, within_s: float = 20.0) -> list[str]:
        """Wait for so many answers."""
        wait_until(lambda: len(self.answers(issue)) >= count, within_s=within_s)
        return self.answers(issue)

    def fates(self, stream: StreamId | None = None) -> list[InboundSettled]:
        """What became of the deliveries of the repository, in the order they were settled."""
        return self.inbound(stream).all("inbound.settled", InboundSettled)

    def wait_fate(self, nth: int = 1) -> Mapping[str, str | int]:
        """Wait for what became of the `nth` delivery of the repository; its state and reason."""
        found: list[InboundSettled] = []

        def check() -> bool:
            settled = {each.delivery: each for each in self.fates()}
            received = [each.offset for each in self.inbound().events("inbound.received")]
            found[:] = (
                [settled[received[nth - 1]]] if len(received) >= nth and received[nth - 1] in settled else []
            )
            return bool(found)

        wait_until(check)
        return {"state": found[0].state, "reason": found[0].reason}

    def inbound(self, stream: StreamId | None = None) -> Session:
        """The stream of what was received for the repository."""
        return Session(self.platform, id=stream or f"inbound:github:{self.repository.id}")


def _is_answer(body: str) -> bool:
    mark = mark_of(body)
    return mark is not None and not mark.marker.startswith("working_")
