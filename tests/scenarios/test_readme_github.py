"""The README's way to connect GitHub, walked with a stand-in in GitHub's place: only its clicks are left out."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.github_hooks import Hooks
from tests.fakes.github_server import GitHubServer
from tests.fakes.github_world import app_key_pem
from tests.scenarios.github_talk import Talk
from tests.scenarios.platform import Setup, installed_site, running_platform

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## Connect GitHub")[2].partition("\n## ")[0]
SECRET, START, DOCTOR, INBOUND = re.findall(r"^```sh\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a person stands: a clone, and what GitHub's pages gave for download."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / ".venv").symlink_to(ROOT / ".venv")
    (folder / "the-app.private-key.pem").write_text(app_key_pem())
    run(SECRET, folder, {})
    return folder


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[Talk]:
    """Turnwright, started with what the README exports, in front of the stand-in."""
    with GitHubServer() as server:
        shown = {"123456": server.world.app_id, "=the-app\n": "=turnwright\n"}
        block = START
        for given, real in shown.items():
            block = block.replace(given, real)
        exported = dict(re.findall(r"^export (\w+)=(\S+)$", block, re.MULTILINE))
        files = {name: str(folder / value) for name, value in exported.items() if name.endswith("_FILE")}
        environment = {**exported, **files, "TURNWRIGHT_GITHUB_API_URL": server.url}
        setup = Setup(site=installed_site(tmp_path_factory), environment=environment)
        with running_platform(tmp_path_factory.mktemp("platform"), setup) as platform:
            talk = Talk(platform, server)
            talk.hooks.secret = (folder / ".turnwright/github-webhook-secret").read_text().strip()
            yield talk


def run(block: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", block],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )
    # What doctor finds besides is none of GitHub's: the stores of a test have no supervisor.
    assert done.returncode == 0 or "doctor" in block, (block, done.stdout, done.stderr)
    return done.stdout


def test_github_is_connected_as_the_readme_says(talk: Talk, folder: Path) -> None:
    issue = talk.issue()
    environment = {**talk.platform.environment(), "TURNWRIGHT_URL": talk.platform.url}

    talk.say(issue, "@turnwright hello")

    talk.wait_answers(issue)
    assert "writes as turnwright[bot]" in run(DOCTOR, folder, environment)
    assert "routed" in run(INBOUND, folder, environment)


def test_the_address_the_readme_names_is_the_one_that_takes_webhooks(talk: Talk) -> None:
    assert "`https://turnwright.example.com/webhooks/github`" in SECTION
    assert talk.hooks.ping().status == 200


def test_it_works_without_an_address_as_the_readme_says(talk: Talk, folder: Path) -> None:
    environment = {**talk.platform.environment(), "TURNWRIGHT_URL": talk.platform.url}
    issue = talk.issue()
    comment = talk.world.comment(issue, "@turnwright no tunnel")
    Hooks(talk.world).issue_comment(talk.repository, issue, comment)

    assert "`turnwright audit --reconcile`" in SECTION
    run(".venv/bin/turnwright audit --reconcile || true", folder, environment)

    [answer] = talk.wait_answers(issue)
    assert "no tunnel" in answer


def test_the_secret_is_for_its_owner_only(folder: Path) -> None:
    assert (folder / ".turnwright/github-webhook-secret").stat().st_mode & 0o077 == 0
