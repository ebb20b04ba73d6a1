"""The stand-in for Slack rejects what Slack rejects, and a test that breaks the rules is told so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import TOKEN, Message

Call = Callable[[WebClient, Message], object]


@pytest.fixture
def web(slack: SlackServer) -> WebClient:
    """Slack's own client, transport and all: what it sends, the stand-in must understand."""
    return WebClient(TOKEN, base_url=slack.api_url, retry_handlers=[])


def _refusal(call: Callable[[], object]) -> str:
    with pytest.raises(SlackApiError) as caught:
        call()
    error: str = caught.value.response["error"]
    return error


def _post(web: WebClient, **more: Any) -> Any:
    return web.chat_postMessage(**{"channel": "C0GENERAL", "text": "hi", **more})


def test_slacks_own_client_and_the_stand_in_understand_each_other(slack: SlackServer, web: WebClient) -> None:
    first = _post(web)
    _post(web, thread_ts=first["ts"], metadata={"event_type": "e", "event_payload": {"a": 1}})
    web.chat_update(channel="C0GENERAL", ts=first["ts"], text="changed")
    web.reactions_add(channel="C0GENERAL", name="eyes", timestamp=first["ts"])

    plain = web.conversations_replies(channel="C0GENERAL", ts=first["ts"])["messages"]
    whole = web.conversations_replies(channel="C0GENERAL", ts=first["ts"], include_all_metadata=True)

    assert [each["text"] for each in plain] == ["changed", "hi"]
    assert "metadata" not in plain[1]
    assert whole["messages"][1]["metadata"]["event_payload"] == {"a": 1}
    assert web.conversations_history(channel="C0GENERAL")["messages"][0]["ts"] == first["ts"]
    assert web.conversations_info(channel="C0GENERAL")["channel"]["is_member"] is True
    assert web.bots_info(bot="B0TURNWRI")["bot"]["user_id"] == "U0TURNWRI"
    web.chat_postEphemeral(channel="C0GENERAL", user="U0ANA", text="psst")
    web.chat_delete(channel="C0GENERAL", ts=first["ts"])


def test_time_stamps_are_unique_and_rise(slack: SlackServer) -> None:
    stamps = [slack.workspace.next_ts() for _ in range(2000)]

    assert stamps == sorted(set(stamps))


def _buttons(*values: str) -> dict[str, Any]:
    text = {"type": "plain_text", "text": "Press"}
    return {
        "type": "actions",
        "elements": [{"type": "button", "action_id": "a", "text": text, "value": each} for each in values],
    }


REFUSALS: list[tuple[str, Call]] = [
    ("channel_not_found", lambda web, asked: _post(web, channel="C0NOWHERE")),
    ("thread_not_found", lambda web, asked: _post(web, thread_ts="1.1")),
    (
        "no_text",
        lambda web, asked: web.api_call("chat.postMessage", json={"channel": "C0GENERAL", "text": ""}),
    ),
    ("msg_too_long", lambda web, asked: _post(web, text="x" * 40_001)),
    (
        "msg_blocks_too_long",
        lambda web, asked: _post(web, blocks=[{"type": "markdown", "text": "x" * 12_001}]),
    ),
    ("invalid_blocks", lambda web, asked: _post(web, blocks=[{"type": "divider"}] * 51)),
    ("invalid_blocks", lambda web, asked: _post(web, blocks=[{"type": "markdown"}])),
    ("invalid_blocks", lambda web, asked: _post(web, blocks=[{"type": "marquee", "text": "x"}])),
    ("invalid_blocks", lambda web, asked: _post(web, blocks=[{"type": "actions", "elements": []}])),
    ("invalid_blocks", lambda web, asked: _post(web, blocks=[_buttons("x" * 2_001)])),
    ("invalid_blocks", lambda web, asked: _post(web, blocks=[_buttons("1", "2")])),
    ("invalid_metadata_format", lambda web, asked: _post(web, metadata={"event_type": "e"})),
    ("cant_update_message", lambda web, asked: web.chat_update(channel=asked.channel, ts=asked.ts, text="x")),
    ("cant_delete_message", lambda web, asked: web.chat_delete(channel=asked.channel, ts=asked.ts)),
    ("message_not_found", lambda web, asked: web.chat_update(channel=asked.channel, ts="1.1", text="x")),
    (
        "no_reaction",
        lambda web, asked: web.reactions_remove(name="eyes", channel=asked.channel, timestamp=asked.ts),
    ),
    (
        "message_not_found",
        lambda web, asked: web.reactions_add(name="eyes", channel=asked.channel, timestamp="1.1"),
    ),
    ("thread_not_found", lambda web, asked: web.conversations_replies(channel=asked.channel, ts="1.1")),
    ("user_not_found", lambda web, asked: web.users_info(user="U0NOBODY")),
]


@pytest.mark.parametrize(("error", "call"), REFUSALS)
def test_what_slack_refuses_is_refused(slack: SlackServer, web: WebClient, error: str, call: Call) -> None:
    asked = slack.workspace.say("hi")

    assert _refusal(lambda: call(web, asked)) == error


def test_a_longest_button_is_taken(web: WebClient) -> None:
    assert _post(web, blocks=[_buttons("x" * 2_000)])["ok"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": ""},
        {"text": "x", "channel": "C1"},
        {"text": "x", "response_type": "loud"},
        {"text": "x", "blocks": [{"type": "context", "elements": []}]},
    ],
)
def test_what_a_response_url_takes_is_looked_at(body: dict[str, Any]) -> None:
    with SlackServer() as slack:
        url = slack.response_url().url

        assert httpx2.post(url, json=body, trust_env=False).status_code == 400

        assert len(slack.violations) == 1
        slack.violations.clear()


@pytest.mark.parametrize("state", ["token_revoked", "account_inactive"])
def test_a_token_that_lost_its_worth_is_refused(slack: SlackServer, web: WebClient, state: str) -> None:
    slack.workspace.token_state[TOKEN] = state

    assert _refusal(web.auth_test) == state


def test_a_token_nobody_gave_out_is_refused(slack: SlackServer) -> None:
    web = WebClient("xoxb-other", base_url=slack.api_url, retry_handlers=[])

    assert _refusal(web.auth_test) == "invalid_auth"


@pytest.mark.parametrize(("scope", "method"), [("chat:write", "post"), ("channels:history", "read")])
def test_what_the_app_may_not_do_is_refused(
    slack: SlackServer, web: WebClient, scope: str, method: str
) -> None:
    asked = slack.workspace.say("hi")
    slack.workspace.scopes.discard(scope)
    calls = {
        "post": lambda: _post(web),
        "read": lambda: web.conversations_replies(channel=asked.channel, ts=asked.ts),
    }

    assert _refusal(calls[method]) == "missing_scope"


@pytest.mark.parametrize(
    ("call", "violation"),
    [
        (lambda web: web.api_call("chat.shout", json={"text": "x"}), "unknown method chat.shout"),
        (
            lambda web: web.chat_postMessage(channel="C0GENERAL", text="x", client_msg_id="1"),
            "unknown parameter",
        ),
        (lambda web: web.api_call("chat.postMessage", json={"text": "x"}), "missing parameter channel"),
        (lambda web: web.api_call("chat.postMessage", json={"channel": 7, "text": "x"}), "is no text"),
    ],
)
def test_a_test_that_breaks_the_rules_fails(call: Callable[[WebClient], object], violation: str) -> None:
    with pytest.raises(AssertionError, match=violation):
        _break(call)


def _break(call: Callable[[WebClient], object]) -> None:
    with SlackServer() as server:
        web = WebClient(TOKEN, base_url=server.api_url, retry_handlers=[])
        _refusal(lambda: call(web))
