"""Which thread a slash command means, by the link that follows it, and what a kept form still holds."""

from __future__ import annotations

import pytest

from services.inbound.contract import Request
from services.inbound.slack_forms import Given, arrived_of, given_by
from services.streams.inbound_events import InboundReceived
from tests.fakes.slack_requests import command
from tests.fakes.slack_workspace import TEAM

ROOT, REPLY = "https://acme.slack.com/archives/C1/p1764000000000100", "1764000009.000900"
LINKED = f"https://acme.slack.com/archives/C1/p{REPLY.replace('.', '')}"


def _received(text: str) -> InboundReceived:
    made = command(text, response_url="https://hooks.slack.com/commands/T1/2/3", channel="C1")
    request = Request(path="commands", headers=[], body=made.body, received_s=1.0)
    return arrived_of(request).received


def _given(text: str) -> Given:
    found = given_by(_received(text))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("link", "thread_ts"),
    [
        (ROOT, "1764000000.000100"),
        (f"<{ROOT}>", "1764000000.000100"),
        (f"<{ROOT}|the thread>", "1764000000.000100"),
        (f"{LINKED}?thread_ts=1764000000.000100&cid=C1", "1764000000.000100"),
        (f"<{LINKED}?thread_ts=1764000000.000100&amp;cid=C1>", "1764000000.000100"),
        (f"<{LINKED}?cid=C1&amp;thread_ts=1764000000.000100>", "1764000000.000100"),
        (f"<{LINKED}?cid=C1>", REPLY),
    ],
)
def test_a_link_names_the_thread_that_its_message_is_in(link: str, thread_ts: str) -> None:
    found = _given(f"stop {link}")

    assert (found.word, found.session, found.is_elsewhere) == ("stop", f"slack:{TEAM}:C1:{thread_ts}", False)


@pytest.mark.parametrize(
    "rest", ["", "now", "https://acme.slack.com/archives/C1", "http://x/archives/C1/p17"]
)
def test_what_is_no_link_names_none(rest: str) -> None:
    assert _given(f"stop {rest}").session == ""


def test_a_link_into_another_channel_is_known_as_one() -> None:
    assert _given(f"stop {ROOT.replace('C1', 'C2')}").is_elsewhere


@pytest.mark.parametrize("text", ["", "  ", "shout", "!help", "HELP me", "<@U1>", "\x00"])
def test_what_is_no_command_asks_for_help(text: str) -> None:
    assert _given(text).word == "help"


def test_a_kept_form_holds_nothing_secret() -> None:
    body = _received("status").body

    assert "hooks.slack.com" not in body
    assert "verification-token" not in body
