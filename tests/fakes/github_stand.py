"""The parts of the GitHub channel, put together against a stand-in, for tests."""

from __future__ import annotations

from services.channels.contract import Letter
from services.channels.github.access import api_for
from services.channels.github.api import API
from services.channels.github.channel import GitHubChannel
from services.channels.github.target import Repository as Where
from services.channels.github.target import Target
from services.variables import Secret
from tests.fakes.github_server import GitHubServer
from tests.fakes.github_world import Comment, Issue, Repository, app_key_pem
from tests.fakes.letters import CANARY, letter_to


def api_of(server: GitHubServer, *, as_app: bool = True) -> API:
    """The API of `server`, in the name of its app or of a person called `turnwright`; by the server's clock."""

    def clock() -> float:
        return server.world.now()

    if not as_app:
        token = Secret(server.world.plain_token("turnwright"))
        return api_for(server.url, token=token, wall_s=clock)
    key = Secret(app_key_pem())
    return api_for(server.url, app_id=int(server.world.app_id), private_key=key, wall_s=clock)


def where(repository: Repository, *, seen_ms: int | None = None) -> Where:
    """`repository` as a webhook of just now named it."""
    return Where(
        id=repository.id,
        name=repository.name,
        installation=repository.installation,
        seen_ms=2**53 if seen_ms is None else seen_ms,
    )


def target_at(repository: Repository, issue: Issue, *, thread: Comment | None = None) -> Target:
    """Where to talk on `issue`."""
    return Target(repository=where(repository), number=issue.number, thread=thread.id if thread else 0)


class GitHubStage:
    """A stand-in with one repository and one issue in it, and a channel to it that writes short comments."""

    part_limit = 500

    def __init__(self, server: GitHubServer, *, as_app: bool = True) -> None:
        self.server = server
        self.world = server.world
        self.repository = self.world.repository("octo/app")
        self.issue = self.world.issue(self.repository, body="It is broken.")
        self.api = api_of(server, as_app=as_app)
        self.channel = GitHubChannel(self.api, part_limit=self.part_limit)

    def letter(self, text: str = CANARY, *, thread: Comment | None = None, timeout_s: float = 10.0) -> Letter:
        """A new letter to the issue, or into the thread of a review."""
        return letter_to(
            target_at(self.repository, self.issue, thread=thread).address, text=text, timeout_s=timeout_s
        )

    def bodies(self) -> list[str]:
        """What is written on the issue."""
        return [each.body for each in self.issue.comments]
