"""Calling Slack: one request a call, what its answers mean, and what nobody gets to see."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
import sys
from collections.abc import Callable

import msgspec
import pytest

from services.channels.contract import DeliveryError, DeliveryErrorKind
from services.channels.http.lookup import Lookups
from services.channels.slack.answers import judged
from services.channels.slack.buttons import replace, whisper
from services.channels.slack.client import SlackClient
from services.channels.slack.sdk import Web
from services.channels.slack.transport import Answer
from services.errors import ConfigurationError, Defect
from services.variables import Secret
from tests.fakes.letters import FakeSending
from tests.fakes.slack_faults import Fault, bad_gateway, gibberish, held, limited, lost, refused
from tests.fakes.slack_letters import client_of
from tests.fakes.slack_server import SlackServer
from tests.fakes.slack_workspace import BOT_USER, TEAM, TOKEN

POST = "chat.postMessage"


@pytest.fixture
def client(slack: SlackServer) -> SlackClient:
    return client_of(slack)


def _post(client: SlackClient, text: str = "hi", sending: FakeSending | None = None) -> None:
    client.attempt(sending or FakeSending(), 5.0).chat_postMessage(channel="C0GENERAL", text=text)


def _error(call: Callable[[], object]) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        call()
    return caught.value


def test_a_call_is_one_request_with_the_token_and_the_parameters(
    slack: SlackServer, client: SlackClient
) -> None:
    sending = FakeSending()

    answer = client.attempt(sending, 5.0).chat_postMessage(channel="C0GENERAL", text="hi")

    [call] = slack.calls
    assert call.params == {"channel": "C0GENERAL", "text": "hi"}
    assert call.headers["authorization"] == f"Bearer {TOKEN}"
    assert answer["ok"] is True
    assert sending.starts == 1


def test_flags_are_sent_as_slack_reads_them_and_what_is_not_given_is_not_sent(
    slack: SlackServer, client: SlackClient
) -> None:
    asked = slack.workspace.say("hi")

    client.attempt(FakeSending(), 5.0).conversations_replies(
        channel="C0GENERAL", ts=asked.ts, include_all_metadata=True, inclusive=False
    )

    [call] = slack.calls
    assert call.params == {
        "channel": "C0GENERAL",
        "ts": asked.ts,
        "include_all_metadata": "1",
        "inclusive": "0",
    }


JUDGEMENTS: list[tuple[Fault, DeliveryErrorKind, str]] = [
    (lost(), "ambiguous", "malformed"),
    (bad_gateway(does=True), "ambiguous", "http_502"),
    (gibberish(), "ambiguous", "not_json"),
    (Fault(answer="status", status=404, body=b"<html>"), "rejected", "http_404"),
    (Fault(answer="status", status=302, body=b""), "rejected", "http_302"),
    (Fault(answer="status", status=200, body=b"[]"), "ambiguous", "not_json"),
    (Fault(answer="status", status=200, body=b"{}"), "ambiguous", "not_json"),
    (Fault(answer="status", status=200, body=b'{"ok":false}'), "rejected", "unknown_error"),
    (refused("fatal_error"), "ambiguous", "fatal_error"),
    (refused("invalid_auth"), "rejected", "invalid_auth"),
    (refused("something <new>"), "rejected", "unknown_error"),
    (refused("is_archived"), "refused", "is_archived"),
    (refused("thread_not_found"), "gone", "thread_not_found"),
    (refused("ratelimited"), "overloaded", "ratelimited"),
]


@pytest.mark.parametrize(("fault", "kind", "code"), JUDGEMENTS)
def test_every_answer_has_a_meaning(
    slack: SlackServer, client: SlackClient, fault: Fault, kind: DeliveryErrorKind, code: str
) -> None:
    slack.will(fault)

    error = _error(lambda: _post(client))

    assert (error.kind, error.code) == (kind, code)
    assert len(slack.calls) == 1


# What Slack's documentation of chat.postMessage lists.
DOCUMENTED = """
access_denied accesslimited account_inactive agent_prompt_display_not_allowed app_access_restricted
as_user_not_supported attachment_payload_limit_exceeded cannot_reply_to_message channel_not_found
deprecated_endpoint duplicate_channel_not_found duplicate_message_not_found ekm_access_denied
enterprise_is_restricted fatal_error internal_error invalid_arg_name invalid_arguments invalid_array_arg
invalid_auth invalid_blocks invalid_blocks_format invalid_charset invalid_form_data
invalid_metadata_format invalid_metadata_schema invalid_post_type is_archived markdown_text_conflict
message_limit_exceeded messages_tab_disabled metadata_must_be_sent_from_app metadata_too_large
method_deprecated missing_file_data missing_post_type missing_scope msg_blocks_too_long msg_too_long
no_permission no_text not_allowed_token_type not_authed not_in_channel org_login_required rate_limited
ratelimited request_timeout restricted_action restricted_action_non_threadable_channel
restricted_action_read_only_channel restricted_action_thread_locked restricted_action_thread_only_channel
send_on_behalf_not_allowed service_unavailable slack_connect_canvas_sharing_blocked
slack_connect_file_link_sharing_blocked slack_connect_lists_sharing_blocked team_access_not_granted
team_added_to_org team_not_found token_expired token_revoked too_many_attachments too_many_contact_cards
two_factor_setup_required
"""


@pytest.mark.parametrize("error", DOCUMENTED.split())
def test_a_code_that_slack_documents_is_told_by_its_name(error: str) -> None:
    body = msgspec.json.encode({"ok": False, "error": error})

    with pytest.raises(DeliveryError) as caught:
        judged(Answer(status=200, headers={}, body=body))

    assert caught.value.code == error


@pytest.mark.parametrize("body", [b"", b" ", b"null", b'"ok"', b'{"ok":1}', b'{"ok":"true"}', b"[" * 100_000])
def test_an_answer_that_is_none_of_slacks_says_nothing_of_what_was_done(body: bytes) -> None:
    with pytest.raises(DeliveryError) as caught:
        judged(Answer(status=200, headers={}, body=body))

    assert (caught.value.kind, caught.value.code) == ("ambiguous", "not_json")


def test_a_method_that_is_called_too_often_is_left_alone_and_no_other(
    slack: SlackServer, client: SlackClient
) -> None:
    slack.will(limited(30), method=POST)
    assert _error(lambda: _post(client)).retry_after_s == 30

    held_back = [_error(lambda: _post(client)) for _ in range(3)]

    assert [each.kind for each in held_back] == ["overloaded"] * 3
    waits = [each.retry_after_s or 0 for each in held_back]
    assert waits == sorted(set(waits))
    assert 29 < waits[0] < 31
    assert len(slack.of(POST)) == 1
    client.attempt(FakeSending(), 5.0).auth_test()


def test_a_call_that_hangs_ends_with_its_time(slack: SlackServer, client: SlackClient) -> None:
    slack.will(held())

    error = _error(lambda: client.attempt(FakeSending(), 0.3).auth_test())

    assert (error.kind, error.code) == ("ambiguous", "timeout")


def test_all_calls_of_an_attempt_share_its_time(slack: SlackServer, client: SlackClient) -> None:
    slack.will(None, held())
    web = client.attempt(FakeSending(), 0.5)
    web.auth_test()

    assert _error(web.auth_test).code == "timeout"


def test_every_call_asks_whether_it_may_start(slack: SlackServer, client: SlackClient) -> None:
    assert _error(lambda: _post(client, sending=FakeSending(may_start=False))).kind == "cancelled"
    assert slack.calls == []


def test_the_token_and_what_is_said_are_in_no_error_and_no_picture(
    slack: SlackServer, client: SlackClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    slack.will(refused(TOKEN), gibberish(), lost())
    errors = [_error(lambda: _post(client, "a secret text")) for _ in range(3)]

    web = client.attempt(FakeSending(), 1.0)
    told = "".join(f"{each!r}{each}{each.__cause__}{each.__context__}" for each in errors)
    for where in (told, repr(client), repr(vars(client)), repr(web), repr(vars(web)), caplog.text):
        assert TOKEN not in where
        assert "a secret text" not in where


def test_no_method_gets_around_the_transport(client: SlackClient) -> None:
    web = client.attempt(FakeSending(), 1.0)

    with pytest.raises(Defect):
        web._sync_send("https://slack.com/api/auth.test", {})
    with pytest.raises(Defect):
        web._request_for_pagination("https://slack.com/api/auth.test", {})
    assert web.retry_handlers == []


def test_slacks_library_is_loaded_by_who_talks_to_slack_only() -> None:
    script = (
        "import sys; from services.channels.slack import channel, client, events, forms, status;"
        "print(any(name.startswith('slack_sdk') for name in sys.modules))"
    )

    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "False"


@pytest.mark.parametrize("url", ["slack.com", "ftp://slack.com/api", "https://user:pw@slack.com/api"])
def test_an_api_address_that_is_none_is_a_mistake_of_the_configuration(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        SlackClient(Secret("xoxb-1"), api_url=url)

    assert "TURNWRIGHT_SLACK_API_URL" in str(caught.value)
    assert "pw" not in str(caught.value)


def test_buttons_are_replaced_by_what_became_of_them(slack: SlackServer, client: SlackClient) -> None:
    given = slack.response_url()

    replace(client, given.url, "Allowed by <ana>", FakeSending())
    whisper(client, given.url, "Only you", FakeSending())

    assert given.posts == [
        {"replace_original": True, "text": "Allowed by &lt;ana&gt;", "blocks": []},
        {"response_type": "ephemeral", "replace_original": False, "text": "Only you"},
    ]


def test_a_response_url_that_is_used_up_wants_nothing_more(slack: SlackServer, client: SlackClient) -> None:
    given = slack.response_url()
    given.is_expired = True

    assert _error(lambda: replace(client, given.url, "done", FakeSending())).kind == "gone"


def test_the_token_is_not_shown_to_a_response_url(slack: SlackServer, client: SlackClient) -> None:
    given = slack.response_url()

    replace(client, given.url, "done", FakeSending())

    assert "authorization" not in given.headers[0]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/actions",
        "http://hooks.slack.com/actions",
        "https://hooks.slack.com:8443/actions",
        "https://hooks.slack.com.evil.example/actions",
        "https://hooks.slack.com@evil.example/actions",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "",
    ],
)
def test_an_answer_goes_to_nobody_but_slack(slack: SlackServer, client: SlackClient, url: str) -> None:
    sending = FakeSending()

    assert _error(lambda: replace(client, url, "done", sending)).kind == "refused"
    assert sending.starts == 0


def test_slacks_own_response_address_must_lead_to_a_public_address() -> None:
    inside = SlackClient(
        Secret("xoxb-1"),
        api_url="https://slack.com/api",
        lookups=Lookups(lambda host: [ipaddress.ip_address("127.0.0.1")]),
    )

    error = _error(lambda: replace(inside, "https://hooks.slack.com/actions/1", "x", FakeSending()))

    assert (error.kind, error.code) == ("refused", "address_refused")


def test_where_nothing_listens_nothing_was_sent() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = SlackClient(Secret("xoxb-1"), api_url=f"http://127.0.0.1:{unused.getsockname()[1]}/api")

        assert _error(lambda: _post(nobody)).kind == "not_sent"


def test_a_call_made_by_slacks_names_tells_who_we_are(client: SlackClient) -> None:
    web: Web = client.attempt(FakeSending(), 5.0)

    assert web.auth_test()["team_id"] == TEAM
    assert web.users_info(user=BOT_USER)["user"]["is_bot"] is True
