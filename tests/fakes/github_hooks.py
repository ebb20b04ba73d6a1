"""Webhooks as GitHub sends them: signed, with its headers, and written down in its log of deliveries."""

from __future__ import annotations

import http.client
import json
import uuid
from typing import Any
from urllib.parse import urlsplit

from services.channels.github.signature import signature_of
from services.variables import Secret
from tests.fakes import github_shapes as shapes
from tests.fakes.github_world import Comment, Delivered, Issue, Json, Repository, World

TIMEOUT_S = 10.0


class Hooks:
    """Tells `url` what happens in `world`, signed with `secret`. Without `url` every delivery fails."""

    def __init__(self, world: World, *, secret: str = "it's a secret to everybody", url: str = "") -> None:
        self.world, self.secret, self.url = world, secret, url

    def ping(self) -> Delivered:
        """What GitHub sends first."""
        hook = {"type": "App", "id": 7, "active": True, "events": ["issue_comment"], "app_id": 4711}
        return self.send("ping", {"zen": "Keep it logically awesome.", "hook_id": 7, "hook": hook})

    def installation(self, id: int, *, action: str = "created", login: str = "ada") -> Delivered:
        """The app was installed, or was taken away."""
        installation = {"id": id, "account": shapes.account("octo"), "app_id": 4711}
        sender = shapes.account(login)
        return self.send("installation", {"action": action, "installation": installation, "sender": sender})

    def issue_comment(
        self,
        where: Repository,
        issue: Issue,
        comment: Comment,
        *,
        action: str = "created",
        login: str = "",
        before: str | None = None,
    ) -> Delivered:
        """A comment was written, edited from `before`, or deleted; by its author or `login`."""
        said: Json = {"comment": shapes.comment(where, issue, comment)}
        if before is not None:
            said["changes"] = {"body": {"from": before}}
        return self._about(
            "issue_comment", action, where, login or comment.login, said, issue=shapes.issue(where, issue)
        )

    def issues(
        self, where: Repository, issue: Issue, *, action: str = "opened", login: str = "", **more: Any
    ) -> Delivered:
        """Something happened to an issue; `label` and `assignee` by name."""
        said = _named(more)
        return self._about(
            "issues", action, where, login or issue.login, said, issue=shapes.issue(where, issue)
        )

    def pull_request(
        self, where: Repository, issue: Issue, *, action: str = "opened", login: str = "", **more: Any
    ) -> Delivered:
        """Something happened to a pull request."""
        pull = shapes.pull(where, issue)
        said = {"number": issue.number, **_named(more)}
        return self._about("pull_request", action, where, login or issue.login, said, pull_request=pull)

    def review(
        self, where: Repository, issue: Issue, body: str, *, action: str = "submitted", login: str = "ada"
    ) -> Delivered:
        """A pull request was reviewed."""
        review = {"id": self.world.id(), "body": body, "user": shapes.account(login), "state": "commented"}
        pull = shapes.pull(where, issue)
        said = {"review": {**review, "html_url": pull["html_url"]}}
        return self._about("pull_request_review", action, where, login, said, pull_request=pull)

    def review_comment(
        self, where: Repository, issue: Issue, comment: Comment, *, action: str = "created", login: str = ""
    ) -> Delivered:
        """A line of a pull request was commented on."""
        said = {"comment": shapes.comment(where, issue, comment)}
        pull = shapes.pull(where, issue)
        who = login or comment.login
        return self._about("pull_request_review_comment", action, where, who, said, pull_request=pull)

    def redeliver(self, delivered: Delivered) -> Delivered:
        """What a person does by hand on GitHub: the same again, under the same GUID."""
        return self.send(delivered.event, delivered.payload, guid=delivered.guid)

    def send(self, event: str, payload: Json, *, guid: str = "") -> Delivered:
        """Deliver anything; with a `guid` that is known, again."""
        body = json.dumps(payload).encode()
        headers = self._headers(event, payload, guid or str(uuid.uuid4()), body)
        delivered = Delivered(
            id=self.world.id(),
            guid=headers["X-GitHub-Delivery"],
            event=event,
            delivered_at=self.world.now(),
            status=self._posted(headers, body),
            headers=headers,
            payload=payload,
            is_redelivery=bool(guid),
        )
        with self.world.lock:
            self.world.delivered.append(delivered)
        return delivered

    def _about(
        self, event: str, action: str, where: Repository, login: str, said: Json, **subject: Json
    ) -> Delivered:
        place = {
            "repository": shapes.repository(where),
            "sender": shapes.account(login),
            "installation": {"id": where.installation, "node_id": "MDIz"},
        }
        return self.send(event, {"action": action, **subject, **said, **place})

    def _headers(self, event: str, payload: Json, guid: str, body: bytes) -> dict[str, str]:
        is_app = "installation" in payload or event == "ping"
        return {
            "Accept": "*/*",
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/0a1b2c3",
            "X-GitHub-Delivery": guid,
            "X-GitHub-Event": event,
            "X-GitHub-Hook-ID": "7",
            "X-GitHub-Hook-Installation-Target-ID": "4711" if is_app else "1",
            "X-GitHub-Hook-Installation-Target-Type": "integration" if is_app else "repository",
            "X-Hub-Signature-256": signature_of(Secret(self.secret), body),
        }

    def _posted(self, headers: dict[str, str], body: bytes) -> int:
        url = urlsplit(self.url)
        if url.hostname is None:
            return 0
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=TIMEOUT_S)
        try:
            connection.request("POST", url.path, body, headers)
            return connection.getresponse().status
        except OSError:
            return 0
        finally:
            connection.close()


def _named(more: dict[str, Any]) -> Json:
    said: Json = {}
    for field in ("assignee", "requested_reviewer"):
        if field in more:
            said[field] = shapes.account(more[field])
    if "label" in more:
        said["label"] = {"id": 1, "name": more["label"]}
    return said
