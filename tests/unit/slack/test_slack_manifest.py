"""The app that people create asks for what the code uses, and for nothing else."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import yaml
from slack_sdk import WebClient

from services.channels.slack.scopes import EVENTS, METHODS, scopes

ROOT = Path(__file__).parents[3]
MANIFEST: dict[str, Any] = yaml.safe_load((ROOT / "deploy/slack/manifest.yaml").read_text())


def _methods_in_the_code() -> set[str]:
    """Slack's methods that some module of the channel calls."""
    called: set[str] = set()
    for path in (ROOT / "services/channels/slack").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and "_" in node.attr.strip("_"):
                called.add(node.attr)
    named = {name for name in vars(WebClient) if not name.startswith("_")}
    return {name.replace("_", ".") for name in called & named} - {"api.call"}


def test_every_method_that_is_called_has_its_scopes() -> None:
    assert _methods_in_the_code() == METHODS.keys()


def test_the_manifest_asks_for_exactly_these_scopes() -> None:
    asked = MANIFEST["oauth_config"]["scopes"]

    assert asked.keys() == {"bot"}
    assert sorted(scopes()) == asked["bot"]


def test_the_manifest_subscribes_to_exactly_the_events_that_are_used() -> None:
    assert MANIFEST["settings"]["event_subscriptions"]["bot_events"] == sorted(EVENTS)


def test_the_manifest_names_the_addresses_that_web_serves() -> None:
    settings = MANIFEST["settings"]
    [command] = MANIFEST["features"]["slash_commands"]

    paths = [
        url.removeprefix("https://turnwright.example.com")
        for url in (
            settings["event_subscriptions"]["request_url"],
            settings["interactivity"]["request_url"],
            command["url"],
        )
    ]

    assert paths == [f"/webhooks/slack/{each}" for each in ("events", "interactions", "commands")]


def test_the_app_is_an_agent_that_people_can_write_to() -> None:
    features = MANIFEST["features"]

    assert features["agent_view"]["agent_description"]
    assert features["app_home"]["messages_tab_read_only_enabled"] is False
    assert MANIFEST["settings"]["socket_mode_enabled"] is False
