"""`make demo`: a prompt, a mention in Slack, one on GitHub and a missed tick of a trigger, all answered; with timings.

The platform is the real one on a fresh directory; stand-ins on this machine take the place of Slack and GitHub.
Exit status 0 when all were answered.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx2
import msgspec

from deploy.cli import output
from services.channels.github.markers import mark_of
from services.sessions.trigger_values import TickPage
from tests.benchmarks.figures import NotMeasured
from tests.benchmarks.platform import Platform, move_clock, run_configured
from tests.fakes.github_hooks import Hooks
from tests.fakes.github_server import GitHubServer
from tests.fakes.slack_requests import event_request, mention
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import BOT_USER
from tests.scenarios import github_talk, slack_talk
from tests.worker.waiting import wait_until

WITHIN_S = 20.0
HOUR_MS = 3_600_000
SHOWN = 120


class _Answered(msgspec.Struct, frozen=True):
    text: str = ""
    outcome: str = ""


class Demo:
    """One running platform, and what stands in for the outside."""

    def __init__(self, platform: Platform, slack: SlackServer, github: GitHubServer) -> None:
        self._slack, self._github, self._platform = slack, github, platform
        self._url = f"http://127.0.0.1:{platform.port}"
        self._http = httpx2.Client(base_url=self._url, timeout=60, trust_env=False)
        self._token = platform.token
        self.failures = 0

    def run(self) -> None:
        """Every way in, one after the other."""
        self._show("prompt over HTTP", self._prompt)
        self._show("mention in Slack", self._mention)
        self._show("mention on GitHub", self._comment)
        self._show("missed tick", self._missed)

    def _show(self, what: str, ask: Callable[[], str]) -> None:
        began = time.monotonic()
        text = ask()
        took_ms = (time.monotonic() - began) * 1000
        if not text:
            self.failures += 1
            sys.stdout.write(f"{what:20} NOT ANSWERED within {WITHIN_S:g} s\n")
            return
        line = " ".join(text.split())
        if len(line) > SHOWN:
            line = f"… {line[-SHOWN:].partition(' ')[2]}"
        sys.stdout.write(f"{what:20} answered in {took_ms:4.0f} ms: {line}\n")

    def _prompt(self) -> str:
        headers = {"Authorization": f"Bearer {self._token}", "Prefer": f"wait={WITHIN_S:g}"}
        answer = self._http.post("/api/prompts", json={"text": "Hello over HTTP"}, headers=headers)
        found = msgspec.json.decode(answer.content, type=_Answered)
        return found.text if found.outcome == "answered" else ""

    def _mention(self) -> str:
        message = self._slack.workspace.say(f"<@{BOT_USER}> hello from Slack")
        request = event_request(mention(message))
        self._http.post(request.path, content=request.body, headers=request.headers).raise_for_status()
        return _waited(
            lambda: [
                each.said for each in self._slack.workspace.thread(message.channel, message.ts) if each.bot_id
            ]
        )

    def _comment(self) -> str:
        world = self._github.world
        repository = world.repository("octo/demo", roles={"ada": "write"})
        issue = world.issue(repository)
        comment = world.comment(issue, f"@{github_talk.LOGIN} hello from GitHub", login="ada")
        hooks = Hooks(world, secret=github_talk.SECRET, url=f"{self._url}/webhooks/github")
        hooks.issue_comment(repository, issue, comment)

        def answers() -> list[str]:
            with world.lock:
                return [each.body for each in issue.comments if mark_of(each.body)]

        return _waited(answers).partition("<!--")[0]

    def _missed(self) -> str:
        """An hourly trigger, as it is done once the store's clock shows that an hour went by unseen."""
        move_clock(self._platform, -HOUR_MS)
        trigger = {"cron": "0 * * * *", "prompt": "Hello from {due}", "misfire": "latest"}
        headers = {"Authorization": f"Bearer {self._token}"}
        self._http.put("/api/triggers/demo", json=trigger, headers=headers).raise_for_status()
        move_clock(self._platform, 0)

        def answers() -> list[str]:
            page = self._http.get("/api/triggers/demo/ticks", headers=headers).content
            ticks = msgspec.json.decode(page, type=TickPage).ticks
            return [
                f"due {output.clock(each.due)}, {each.state} to {each.session}: {each.outcome}"
                for each in ticks
                if each.outcome == "answered"
            ]

        return _waited(answers)


def _waited(answers: Callable[[], list[str]]) -> str:
    """The first answer; empty when none comes in time."""
    try:
        wait_until(lambda: bool(answers()), within_s=WITHIN_S)
    except AssertionError:
        return ""
    return answers()[0]


def main() -> int:
    """Run the demo; the exit status."""
    with ExitStack() as held:
        scratch = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="tw-demo-")))
        slack, github = held.enter_context(SlackServer()), held.enter_context(GitHubServer())
        given = {
            **slack_talk.ENVIRONMENT,
            "TURNWRIGHT_SLACK_API_URL": slack.api_url,
            **github_talk.environment(github),
        }
        sys.stdout.write("starting the platform with stand-ins for Slack and GitHub on this machine\n")
        began = time.monotonic()
        try:
            platform = held.enter_context(run_configured(scratch, given))
        except NotMeasured as error:
            sys.stderr.write(f"demo: {error}\n")
            return 1
        sys.stdout.write(f"ready after {time.monotonic() - began:.1f} s\n")
        demo = Demo(platform, slack, github)
        demo.run()
    sys.stdout.write("all answered\n" if not demo.failures else f"{demo.failures} not answered\n")
    return 1 if demo.failures else 0


if __name__ == "__main__":
    sys.exit(main())
