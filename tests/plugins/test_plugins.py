"""The example packages, installed as a user's, are found by a fresh process and can be used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.plugins.install import install_plugin

ROOT = Path(__file__).parents[2]
PROGRAM = """
import json, sys
from services.llm.registry import ProviderRegistry
from services.tools.contract import ToolCall
from services.tools.registry import ToolRegistry
from services.tools.runner import ToolRunner

providers, tools = ProviderRegistry(), ToolRegistry.installed()
lazy = "acme_provider" not in sys.modules
provider, model = providers.resolve("acme:tiny")
runner = ToolRunner(tools)
call = ToolCall(session="prompt:1", call="c1")
json.dump({
    "providers": providers.names(), "lazy": lazy, "provider": provider.name, "model": model,
    "tools": {name: tools.get(name).effect for name in tools.names()}, "problems": tools.problems,
    "looked_up": runner.run("look_up", '{"country": "Austria"}', call).result,
    "not_found": runner.run("look_up", '{"country": "Atlantis"}', call).error,
    "noted": runner.run("append_note", '{"text": "two  words"}', call).outcome,
}, sys.stdout)
"""


class Report(msgspec.Struct):
    """What the fresh process found."""

    providers: list[str]
    lazy: bool
    provider: str
    model: str
    tools: dict[str, str]
    problems: list[str]
    looked_up: str
    not_found: str
    noted: str


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    for name in ("acme_provider", "acme_tools"):
        install_plugin(name, target)
    return target


def run(site: Path, notes: Path, base_url: str) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "PYTHONPATH": f"{site}{os.pathsep}{ROOT}",
        "ACME_BASE_URL": base_url,
        "ACME_NOTES": str(notes),
    }
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, check=False
    )


def test_installed_packages_bring_a_provider_and_tools(site: Path, tmp_path: Path) -> None:
    done = run(site, tmp_path / "notes", "http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    report = msgspec.json.decode(done.stdout, type=Report)
    assert report.problems == []
    assert (report.providers, report.lazy) == (["offline", "openai", "anthropic", "acme"], True)
    assert (report.provider, report.model) == ("acme", "tiny")
    assert report.tools == {
        "append_note": "write",
        "clock": "read_only",
        "look_up": "read_only",
        "wait": "read_only",
    }
    assert (report.looked_up, report.not_found, report.noted) == ("Vienna", "tool_error", "succeeded")
    assert (tmp_path / "notes").read_text() == "prompt:1\tc1\ttwo words\n"


def test_a_provider_that_lacks_a_setting_says_which(site: Path, tmp_path: Path) -> None:
    done = run(site, tmp_path / "notes", "")
    assert "acme-provider: ACME_BASE_URL must be set" in done.stderr
