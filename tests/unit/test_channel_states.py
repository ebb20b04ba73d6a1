"""Which ways in are open, why not, and what a person probably did not mean."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from services.config import load_config
from services.diagnosis.channels import ChannelState, channel_states
from services.settings import load_settings

SLACK = {"TURNWRIGHT_SLACK_SIGNING_SECRET": "s" * 32, "TURNWRIGHT_SLACK_BOT_TOKEN": "xoxb-1"}
SHOP = {"TURNWRIGHT_SOURCE_SHOP_SECRET": f"whsec_{base64.b64encode(b'k' * 24).decode()}"}
REAL = {"TURNWRIGHT_MODEL": "openai:gpt-5"}


def states(tmp_path: Path, environment: dict[str, str], file: str = "") -> dict[str, ChannelState]:
    path = tmp_path / "turnwright.toml"
    path.write_text(file)
    settings = load_settings({"TURNWRIGHT_HOME": str(tmp_path), **environment})
    return {each.name: each for each in channel_states(settings, load_config(path), {})}


def test_a_channel_nobody_set_up_is_off_and_nothing_is_wrong_with_that(tmp_path: Path) -> None:
    found = states(tmp_path, {})

    assert list(found) == ["slack", "github"]
    assert found["slack"].told() == (
        "off: not set: TURNWRIGHT_SLACK_SIGNING_SECRET, TURNWRIGHT_SLACK_BOT_TOKEN"
    )
    assert "TURNWRIGHT_GITHUB_LOGIN" in found["github"].told()
    assert not any(each.doubts for each in found.values())


@pytest.mark.parametrize(
    ("name", "variable", "value"),
    [
        ("slack", "TURNWRIGHT_SLACK_BOT_TOKEN", "xoxb-1"),
        ("github", "TURNWRIGHT_GITHUB_LOGIN", "my-bot"),
    ],
)
def test_a_channel_that_is_half_set_up_is_doubted(
    tmp_path: Path, name: str, variable: str, value: str
) -> None:
    found = states(tmp_path, {variable: value})[name]

    assert variable not in found.off
    assert found.doubts == ("only a part of it is set",)


@pytest.mark.parametrize(("token", "doubts"), [("xoxp-canary", 1), ("canary", 1), ("xoxe.xoxb-1", 0)])
def test_a_token_of_slack_that_is_no_bots_is_doubted_and_not_shown(
    tmp_path: Path, token: str, doubts: int
) -> None:
    found = states(tmp_path, {**SLACK, **REAL, "TURNWRIGHT_SLACK_BOT_TOKEN": token})["slack"]

    assert (found.off, len(found.doubts)) == ("", doubts)
    assert "canary" not in repr(found)


def test_a_channel_that_is_on_says_where_its_webhooks_go(tmp_path: Path) -> None:
    found = states(tmp_path, {**SLACK, **REAL})["slack"]

    assert (
        found.told("https://bot.example.org")
        == "on, webhooks to https://bot.example.org/webhooks/slack/events"
    )
    assert found.doubts == ()


def test_a_channel_answered_by_the_offline_model_is_doubted(tmp_path: Path) -> None:
    routed = '[agents.poet]\nmodel = "offline"\n[[routes]]\nsource = "slack"\nagent = "poet"\n'

    assert "agent default answers with the offline model" in states(tmp_path, SLACK)["slack"].doubts[0]
    assert "agent poet answers" in states(tmp_path, {**SLACK, **REAL}, routed)["slack"].doubts[0]


def test_a_sender_needs_a_name_in_the_configuration_and_a_secret(tmp_path: Path) -> None:
    named = '[[sources]]\nname = "shop"\n'

    assert states(tmp_path, {**SHOP, **REAL}, named)["shop"].told() == "on, webhooks to /webhooks/in/shop"
    without = states(tmp_path, {}, named)["shop"]
    assert (without.off, len(without.doubts)) == ("not set: TURNWRIGHT_SOURCE_SHOP_SECRET", 1)
    alone = states(tmp_path, SHOP)["shop"]
    assert alone.off
    assert "TURNWRIGHT_SOURCE_SHOP_SECRET is set" in alone.doubts[0]


def test_no_secret_is_told(tmp_path: Path) -> None:
    found = states(tmp_path, {**SLACK, **SHOP})

    assert not [value for value in (*SLACK.values(), *SHOP.values()) if value in repr(found)]
