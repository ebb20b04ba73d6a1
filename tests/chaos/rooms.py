"""Threads in the stand-ins: what people say there, the webhooks that tell of it, and what was answered."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Protocol

from services.channels.github.events import session_of
from services.channels.github.markers import mark_of
from services.channels.slack.address import SlackAddress
from services.streams.event import StreamId
from tests.chaos.threads import Saying, Thread
from tests.fakes.github_hooks import Hooks
from tests.fakes.github_server import GitHubServer
from tests.fakes.github_world import Comment, Delivered, Issue, Repository
from tests.fakes.slack_requests import SlackRequest, event_request, our_own, said, twins
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import BOT_USER, TEAM, Channel, Message
from tests.scenarios.github_talk import LOGIN, SECRET

PLACES = 3
# How long each of them waits for an answer.
SLACK_S, GITHUB_S = 3.0, 10.0

# What marks the comment that shows that a turn takes long: it goes with the answer.
WORKING = "working_"

_tokens = re.compile(r"\bre (q\d+):")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One POST, ready to send as often as one likes; the ledger knows it by `key`."""

    key: str
    path: str
    headers: dict[str, str]
    body: bytes
    timeout_s: float

    def repeated(self, number: int) -> Webhook:
        """As it is sent for the `number`-th time after the first."""
        if not number or not self.path.startswith("/webhooks/slack"):
            return self
        plain = SlackRequest(path=self.path, headers=self.headers, body=self.body)
        return replace(self, headers=plain.retried(min(number, 3)).headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One message of ours in a thread: part `part`, from 1, of the `parts` that carry `marker`.

    `tokens` are those it answers; a message that answers nothing has none.
    """

    id: str
    tokens: frozenset[str]
    marker: str
    part: int
    parts: int
    text: str = field(repr=False)


class Room(Protocol):
    """A thread while the run goes on."""

    session: StreamId
    thread: Thread

    def say(self, saying: Saying) -> list[Webhook]:
        """Say it; the webhooks that tell of it, which are twins of one another."""

    def posts(self) -> list[Post]:
        """Everything we said there, in the order that people read it."""

    def told(self, post: Post) -> Webhook | None:
        """How the app is told of its own post; None where the post is gone by now."""

    def is_shown_working(self) -> bool:
        """Whether people still see that a turn runs there."""


class SlackRoom:
    """A thread of a channel, or of a direct message."""

    def __init__(self, server: SlackServer, thread: Thread) -> None:
        self._space, self.thread = server.workspace, thread
        self.session = StreamId("")
        prefix, kind = ("D", "im") if thread.kind == "direct" else ("C", "channels")
        self._channel = f"{prefix}0CHAOS{thread.n % PLACES}"
        self._first = ""
        with self._space.lock:
            self._space.channels.setdefault(self._channel, Channel(id=self._channel, kind=kind))

    def say(self, saying: Saying) -> list[Webhook]:
        """See `Room`. A mention in a channel comes twice, with ids of its own."""
        is_direct = self.thread.kind == "direct"
        text = f"<@{BOT_USER}> {saying.text}" if saying.how == "call" else saying.text
        message = self._space.say(text, channel=self._channel, thread_ts=self._first)
        if not self._first:
            self._first = message.ts
            address = SlackAddress(team=TEAM, channel=self._channel, thread_ts=message.ts)
            self.session = StreamId(address.encode())
        is_twin = saying.how == "call" and not is_direct
        requests = twins(message) if is_twin else (event_request(said(message)),)
        return [self._webhook(f"slack:{TEAM}:{message.channel}:{message.ts}", each) for each in requests]

    def posts(self) -> list[Post]:
        """See `Room`."""
        thread = self._space.thread(self._channel, self._first) if self._first else []
        return [_slack_post(each) for each in thread if each.bot_id]

    def is_shown_working(self) -> bool:
        """See `Room`."""
        return self._space.statuses.get((self._channel, self._first), "active") != "active"

    def told(self, post: Post) -> Webhook | None:
        """See `Room`."""
        message = self._space.message(self._channel, post.id)
        event_id = f"Ev0OWN{message.ts.replace('.', '')}"
        return self._webhook(f"slack:{event_id}", event_request(our_own(message), event_id=event_id))

    def _webhook(self, key: str, request: SlackRequest) -> Webhook:
        return Webhook(
            key=key, path=request.path, headers=request.headers, body=request.body, timeout_s=SLACK_S
        )


class GitHubRoom:
    """An issue, or the thread of a review of a pull request. `repositories` are where `ada` may call us."""

    def __init__(self, server: GitHubServer, repositories: list[Repository], thread: Thread) -> None:
        self._world, self.thread = server.world, thread
        self._hooks = Hooks(server.world, secret=SECRET)
        self._repository = repositories[thread.n % len(repositories)]
        self._is_review = thread.kind == "review"
        self._issue: Issue = server.world.issue(self._repository, is_pull=self._is_review)
        self._first = 0
        self.session = session_of(self._repository.id, self._issue.number)

    def say(self, saying: Saying) -> list[Webhook]:
        """See `Room`."""
        text = saying.text if saying.how == "chatter" else f"@{LOGIN} {saying.text}"
        login = "rob" if saying.how == "stranger" else "ada"
        path = "a.py" if self._is_review else ""
        comment = self._world.comment(self._issue, text, login=login, path=path, reply_to=self._first)
        if self._is_review and not self._first:
            self._first = comment.id
        return [self._webhook(comment)]

    def posts(self) -> list[Post]:
        """See `Room`."""
        return [post for post in self._said() if not post.marker.startswith(WORKING)]

    def is_shown_working(self) -> bool:
        """See `Room`."""
        return any(post.marker.startswith(WORKING) for post in self._said())

    def told(self, post: Post) -> Webhook | None:
        """See `Room`."""
        found = next((each for each in self._comments() if str(each.id) == post.id), None)
        return self._webhook(found) if found else None

    def _said(self) -> list[Post]:
        return [_github_post(each) for each in self._comments() if each.login == f"{LOGIN}[bot]"]

    def _comments(self) -> list[Comment]:
        with self._world.lock:
            return [*self._issue.comments, *self._issue.review]

    def _webhook(self, comment: Comment) -> Webhook:
        # Written into GitHub's own list of deliveries as one that nobody took, so far.
        tell = self._hooks.review_comment if comment.path else self._hooks.issue_comment
        made: Delivered = tell(self._repository, self._issue, comment)
        return Webhook(
            key=f"github:{made.guid}",
            path="/webhooks/github",
            headers=made.headers,
            body=json.dumps(made.payload).encode(),
            timeout_s=GITHUB_S,
        )


class Rooms:
    """Opens a room for each thread."""

    def __init__(self, slack: SlackServer, github: GitHubServer) -> None:
        self._slack, self._github = slack, github
        roles = {"ada": "write", "rob": "read"}
        self._repositories = [github.world.repository(f"octo/app-{n}", roles=roles) for n in range(PLACES)]

    def open(self, thread: Thread) -> Room:
        """Where `thread` is to happen."""
        if thread.kind in ("channel", "direct"):
            return SlackRoom(self._slack, thread)
        return GitHubRoom(self._github, self._repositories, thread)


def _slack_post(message: Message) -> Post:
    payload = (message.metadata or {}).get("event_payload", {})
    return Post(
        id=message.ts,
        tokens=frozenset(_tokens.findall(message.said)),
        marker=payload.get("marker", ""),
        part=payload.get("part", -1) + 1,
        parts=payload.get("parts", 0),
        text=message.said,
    )


def _github_post(comment: Comment) -> Post:
    mark = mark_of(comment.body)
    return Post(
        id=str(comment.id),
        tokens=frozenset(_tokens.findall(comment.body)),
        marker=mark.marker if mark else "",
        part=mark.part if mark else 0,
        parts=mark.of if mark else 0,
        text=comment.body,
    )
