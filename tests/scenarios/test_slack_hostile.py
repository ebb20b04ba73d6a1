"""Whatever reaches Slack's addresses is believed for a reason or refused with one: never a 5xx, never half a trace."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.channels.slack.address import inbound_stream
from tests.fakes.slack_requests import (
    COMMANDS,
    EVENTS,
    INTERACTIONS,
    SlackRequest,
    envelope,
    event_request,
    mention,
    signed,
    twins,
    verification,
)
from tests.fakes.slack_workspace import BOT_USER, TEAM
from tests.scenarios.platform import Setup, installed_site, running_platform
from tests.scenarios.slack_talk import Talk, talking
from tests.worker.waiting import wait_until

LINES = (Path(__file__).parents[1] / "fixtures/slack/payloads.jsonl").read_text().splitlines()
CORPUS: list[dict[str, Any]] = [json.loads(line) for line in LINES]
FORM = "application/x-www-form-urlencoded"
SIGNATURE, TIMESTAMP = "X-Slack-Signature", "X-Slack-Request-Timestamp"
PATHS = (EVENTS, INTERACTIONS, COMMANDS)


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with talking(tmp_path_factory) as talk:
        yield talk


def _mention(talk: Talk) -> tuple[str, SlackRequest]:
    message = talk.slack.workspace.say(f"<@{BOT_USER}> hello", channel=talk.channel())
    return message.channel, event_request(mention(message))


def _nothing_came(talk: Talk, channel: str) -> bool:
    stream = inbound_stream(TEAM, channel)
    return talk.platform.http.get(f"/api/sessions/{stream}").status_code == 404


def _request(row: dict[str, Any]) -> SlackRequest:
    match row["encoding"]:
        case "json":
            return signed(EVENTS, json.dumps(row["payload"]).encode())
        case "payload":
            body = urlencode({"payload": json.dumps(row["payload"])}).encode()
            return signed(INTERACTIONS, body, content_type=FORM)
        case _:
            return signed(COMMANDS, urlencode(row["payload"]).encode(), content_type=FORM)


def test_every_payload_of_slacks_own_libraries_is_taken_or_refused_by_name(talk: Talk) -> None:
    refused = []

    for row in CORPUS:
        answer = talk.send(_request(row))
        if answer.status_code != 200:
            assert (answer.status_code, answer.json()["field"]) == (422, "body"), answer.text
            refused.append(row["kind"])

    # One file holds an envelope around an event of no type.
    assert refused == ["event:?"]
    wait_until(lambda: talk.platform.gauge("turnwright_due") == 0, within_s=60)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "change",
    [
        {SIGNATURE: None},
        {TIMESTAMP: None},
        {SIGNATURE: "v0=" + "0" * 64},
        {SIGNATURE: "v0=é" + "0" * 63},
        {SIGNATURE: "v1=" + "0" * 64},
        {SIGNATURE: ""},
        {TIMESTAMP: "tomorrow"},
        {TIMESTAMP: "9" * 5000},
        {TIMESTAMP: "-1"},
        {TIMESTAMP: "١٧٠٠٠٠٠٠٠٠".encode().decode("latin-1")},
        {TIMESTAMP: "1e9"},
        {TIMESTAMP: "0"},
    ],
)
def test_what_is_not_signed_is_refused(talk: Talk, path: str, change: dict[str, str | None]) -> None:
    channel, request = _mention(talk)
    headers = {**request.headers, **change}
    sent = [(k.encode(), v.encode("latin-1")) for k, v in headers.items() if v is not None]

    answer = httpx2.post(talk.platform.url + path, content=request.body, headers=sent, trust_env=False)

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert _nothing_came(talk, channel)


def test_a_header_that_comes_twice_is_refused(talk: Talk) -> None:
    channel, request = _mention(talk)
    headers = [*request.headers.items(), (SIGNATURE, request.headers[SIGNATURE])]

    answer = httpx2.post(talk.platform.url + EVENTS, content=request.body, headers=headers, trust_env=False)

    assert answer.status_code == 401
    assert _nothing_came(talk, channel)


def test_what_was_signed_with_another_secret_is_refused(talk: Talk) -> None:
    channel, request = _mention(talk)

    forged = signed(EVENTS, request.body, secret="-".join(("another", "secret")))

    assert talk.send(forged).status_code == 401
    assert _nothing_came(talk, channel)


@pytest.mark.parametrize("off_s", [-301, 301, -86_400])
def test_what_is_too_old_or_of_tomorrow_is_refused(talk: Talk, off_s: int) -> None:
    channel, request = _mention(talk)

    assert talk.send(signed(EVENTS, request.body, at_s=time.time() + off_s)).status_code == 401
    assert _nothing_came(talk, channel)


def test_what_is_replayed_in_time_is_the_same(talk: Talk) -> None:
    channel, request = _mention(talk)

    talk.deliver(request, request, request)

    assert len(talk.fates(channel)) == 1


@pytest.mark.parametrize("path", PATHS)
def test_a_body_that_is_cut_off_is_refused(talk: Talk, path: str) -> None:
    channel, request = _mention(talk)

    answer = talk.send(replace(request, path=path, body=request.body[:-1]))

    assert answer.status_code == 401
    assert _nothing_came(talk, channel)


def test_a_body_that_never_comes_whole_leaves_nothing(talk: Talk) -> None:
    channel, request = _mention(talk)
    where = urlsplit(talk.platform.url)
    lines = [f"POST {EVENTS} HTTP/1.1", f"Host: {where.netloc}", f"Content-Length: {len(request.body)}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]

    with socket.create_connection((where.hostname or "", where.port or 0), 10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + request.body[:-10])
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(4096)

    assert not answer or answer.split()[1][:1] == b"4"
    assert _nothing_came(talk, channel)


@pytest.mark.parametrize("path", PATHS)
def test_what_is_larger_than_slack_sends_is_refused_before_it_is_read(talk: Talk, path: str) -> None:
    answer = talk.send(signed(path, b" " * (1_048_576 + 1)))

    assert answer.status_code == 413


def test_what_is_compressed_is_refused(talk: Talk) -> None:
    channel, request = _mention(talk)

    answer = talk.send(replace(request, headers={**request.headers, "Content-Encoding": "gzip"}))

    assert answer.status_code == 415
    assert _nothing_came(talk, channel)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe\x00",
        b"{" * 100_000,
        b'{"type":"event_callback","event":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
        b'{"type":"event_callback","event":{"type":"message","text":"\\ud800"}}',
        b'{"type":"event_callback","event":{"type":"message"},"event_time":1' + b"0" * 400 + b"}",
        b'{"type":"event_callback","event":{"type":"message"},"event_time":1e300}',
        b'payload={"type":"shortcut","x":1e400}',
        b'payload={"type":"shortcut","x":1' + b"0" * 400 + b"}",
        b"payload=",
        b"payload=%7B%7D",
        b"payload=%ff",
        b"payload=" + b"%5B" * 100_000,
        b"command=help",
        b"&" * 50_000,
        b"=&" * 100,
        b"command=%2Fturnwright&trigger_id=" + b"x" * 100_000,
    ],
    ids=lambda body: repr(body[:24]),
)
def test_a_signed_body_that_is_nonsense_is_refused_by_name(talk: Talk, path: str, body: bytes) -> None:
    answer = talk.send(signed(path, body, content_type=FORM))

    assert answer.status_code in (200, 422), answer.text


names = st.sampled_from(
    [
        *(
            "type",
            "subtype",
            "event",
            "event_id",
            "team_id",
            "authorizations",
            "channel",
            "channel_type",
            "user",
        ),
        *(
            "text",
            "ts",
            "thread_ts",
            "message",
            "previous_message",
            "files",
            "attachments",
            "edited",
            "bot_id",
        ),
        *("payload", "actions", "action_id", "value", "container", "response_url", "trigger_id", "team"),
    ]
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["message", "app_mention", "message_changed", "im", TEAM, "C1", "1.2", "<@U1> !stop"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=6),
    max_leaves=12,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(event=st.dictionaries(names, values, max_size=10), path=st.sampled_from(PATHS))
def test_no_shape_of_what_is_signed_is_answered_with_an_error_of_ours(
    talk: Talk, event: dict[str, Any], path: str
) -> None:
    if path == EVENTS:
        request = signed(path, json.dumps(envelope(event)).encode())
    elif path == INTERACTIONS:
        request = signed(path, urlencode({"payload": json.dumps(event)}).encode(), content_type=FORM)
    else:
        fields = {name: str(value) for name, value in event.items()} | {"command": "/turnwright"}
        request = signed(path, urlencode(fields, errors="replace").encode(), content_type=FORM)

    assert talk.send(request).status_code in (200, 422)


def test_the_address_is_verified_by_its_challenge(talk: Talk) -> None:
    answer = talk.send(verification("abc123"))

    assert (answer.status_code, answer.json()) == (200, {"challenge": "abc123"})
    forged = verification("abc123")
    assert (
        talk.send(replace(forged, headers={**forged.headers, SIGNATURE: "v0=" + "0" * 64})).status_code == 401
    )


def test_a_look_at_the_certificate_is_no_command(talk: Talk) -> None:
    body = b"ssl_check=1&token=old-verification-token"

    answer = talk.send(signed(COMMANDS, body, content_type=FORM))

    assert (answer.status_code, answer.json()) == (200, {})
    assert talk.send(signed(COMMANDS, b"ssl_check=0", content_type=FORM)).status_code == 422
    assert talk.send(signed(COMMANDS, body, content_type=FORM, secret="another")).status_code == 401


def test_what_slack_holds_back_and_what_nobody_knows_is_noted(talk: Talk) -> None:
    channel = talk.channel()
    limits = {"type": "app_rate_limited", "team_id": "T0LIMITED", "minute_rate_limited": 1518467820}
    unknown = {"type": "galaxy_created", "channel": channel, "event_ts": "1.2"}

    talk.deliver(signed(EVENTS, json.dumps(limits).encode()), event_request(unknown))

    assert talk.fates(channel) == [("other", "ignored", "unknown_event")]
    assert talk.fates("", team="T0LIMITED") == [("rate_limited", "ignored", "slack_holds_back")]


def test_ten_at_the_same_moment_over_two_web_processes_are_one(talk: Talk) -> None:
    talk.platform.start_web("web-2")
    message = talk.slack.workspace.say(f"<@{BOT_USER}> all at once", channel=talk.channel())

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(talk.send, twins(message) * 5))

    assert {each.status_code for each in answers} == {200}
    assert len(talk.fates(message.channel)) == 1
    assert len(talk.wait_replies(message)) == 1


def test_while_slack_is_not_configured_it_is_told_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    setup = Setup(site=installed_site(tmp_path_factory))
    with running_platform(tmp_path_factory.mktemp("off"), setup) as platform:
        assert platform.http.post("/api/prompts", json={"text": "hello"}).status_code == 202
        request = verification()
        answer = platform.http.post(EVENTS, content=request.body, headers=request.headers)

        assert answer.status_code == 503
        assert "TURNWRIGHT_SLACK_SIGNING_SECRET" in answer.json()["detail"]
