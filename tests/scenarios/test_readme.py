"""The README's commands, run as a newcomer would paste them, in a fresh clone of the working tree."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from standardwebhooks import WebhookVerificationError

from services.channels.http.signing import signed_headers
from tests.worker.waiting import wait_until

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
READY_WITHIN_S = 90
# Too long to run inside the suite that they start; that they exist is checked.
LONG = ("make test", "make check", "make bench", "make demo")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("clone") / "turnwright"
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in tracked:
        source = ROOT / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    return target


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TURNWRIGHT_")}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        kept["TURNWRIGHT_PORT"] = str(probe.getsockname()[1])
    return kept


@pytest.fixture(scope="module")
def platform(clone: Path, environment: dict[str, str]) -> Iterator[Path]:
    """`make up` in the clone; everything it starts ends with it."""
    log = (clone / "up.log").open("w+")
    process = subprocess.Popen(
        ["make", "up"],
        cwd=clone,
        env=environment,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said = clone / "up.log"
        wait_until(
            lambda: "ready http://" in said.read_text() or process.poll() is not None, within_s=READY_WITHIN_S
        )
        assert process.poll() is None, said.read_text()
        yield clone
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        log.close()


def test_every_shell_block_of_the_readme_works(platform: Path, environment: dict[str, str]) -> None:
    for block in blocks("sh"):
        lines = [line for line in block.splitlines() if line not in ("make up", *LONG)]
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", "\n".join(lines)],
            cwd=platform,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, (block, done.stdout, done.stderr)


def test_the_receiver_of_the_readme_takes_what_is_signed_and_nothing_else() -> None:
    (block,) = blocks("python")
    names: dict[str, Callable[[bytes, dict[str, str], str], dict[str, object]]] = {}
    exec(block, names)
    body, key = b'{"type":"turn.settled","data":{"text":"hello"}}', b"k" * 32
    secret = f"whsec_{base64.b64encode(key).decode()}"
    headers = signed_headers([key], id="reply_1", timestamp_s=int(time.time()), body=body)

    assert names["settled_turn"](body, headers, secret) == {"text": "hello"}
    with pytest.raises(WebhookVerificationError):
        names["settled_turn"](body + b" ", headers, secret)


def test_every_make_target_the_readme_names_exists(clone: Path) -> None:
    for target in sorted(set(re.findall(r"(?:`|^)make ([a-z][a-z-]+)", README, re.MULTILINE))):
        done = subprocess.run(["make", "-n", target], cwd=clone, capture_output=True, text=True)
        assert done.returncode == 0, (target, done.stderr)


def test_the_readmes_configuration_is_valid(
    platform: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "turnwright.toml"
    file.write_text("\n".join(blocks("toml")))
    done = subprocess.run(
        [".venv/bin/turnwright", "config", "check", str(file)],
        cwd=platform,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_every_folder_the_readme_names_is_there() -> None:
    for name in re.findall(r"`((?:services|tasks|web|deploy|tests)(?:/[a-z_./]+)?)`", README):
        assert (ROOT / name).exists(), name


def test_the_readme_says_what_is_in_every_folder_of_the_code() -> None:
    folders = [path.parent for path in ROOT.glob("services/*/__init__.py")]
    assert len(folders) > 10
    assert [each.name for each in folders if f"`services/{each.name}`" not in README] == []
