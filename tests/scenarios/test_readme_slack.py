"""The README's way to connect Slack, walked with a stand-in in Slack's place: only its clicks are left out."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.fakes.slack_requests import SECRET, verification
from tests.fakes.slack_workspace import TEAM, TOKEN
from tests.scenarios.slack_talk import Talk, talking

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## Connect Slack")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"^```sh\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
# What the vendor's pages show, which a person puts in their place.
SHOWN = {"the-signing-secret": SECRET, "xoxb-the-token-of-the-bot": TOKEN}


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with talking(tmp_path_factory) as talk:
        yield talk


def _walk(talk: Talk, folder: Path) -> list[str]:
    """What each block of the section prints, the platform being up already."""
    (folder / ".turnwright").mkdir()
    for name in (".venv", "deploy"):
        (folder / name).symlink_to(ROOT / name)
    exports: list[str] = []
    printed = []
    for block in BLOCKS:
        for given, real in SHOWN.items():
            block = block.replace(given, real)
        exports += [line for line in block.splitlines() if line.startswith("export ")]
        lines = [*exports, *(line for line in block.splitlines() if line != "make up")]
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", "\n".join(lines)],
            cwd=folder,
            env=_environment(talk),
            capture_output=True,
            text=True,
            timeout=60,
        )
        # What doctor finds besides is none of Slack's: the stores of a test have no supervisor.
        assert done.returncode == 0 or "doctor" in block, (block, done.stdout, done.stderr)
        printed.append(done.stdout)
    return printed


def _environment(talk: Talk) -> dict[str, str]:
    given = {
        name: value
        for name, value in talk.platform.environment().items()
        if name not in ("TURNWRIGHT_SLACK_SIGNING_SECRET", "TURNWRIGHT_SLACK_BOT_TOKEN")
    }
    return {
        **given,
        "PATH": os.environ["PATH"],
        "PUBLIC": "bot.acme.test",
        "TURNWRIGHT_URL": talk.platform.url,
    }


def test_slack_is_connected_as_the_readme_says(talk: Talk, tmp_path: Path) -> None:
    message = talk.call("hello")
    talk.wait_replies(message)

    manifest, _, doctor, inbound = _walk(talk, tmp_path)

    assert manifest == ""
    app = yaml.safe_load((tmp_path / ".turnwright/slack-app.yaml").read_text())
    assert (
        app["settings"]["event_subscriptions"]["request_url"] == "https://bot.acme.test/webhooks/slack/events"
    )
    assert talk.send(verification("really")).json() == {"challenge": "really"}
    assert f"speaks in the workspace Acme ({TEAM})" in doctor
    assert "routed" in inbound
    assert TOKEN not in doctor + inbound
