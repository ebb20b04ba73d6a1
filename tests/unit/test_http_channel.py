"""The channel `http` against a real receiver: what it sends, what answers mean, and what no receiver can make it do."""

from __future__ import annotations

import base64
import ipaddress
import json
import resource
import socket
import ssl
import time
from collections.abc import Iterator

import msgspec
import pytest
from standardwebhooks import Webhook

from services.channels.contract import DeliveryError, Letter, Receipt
from services.channels.http.addresses import Addresses
from services.channels.http.answers import receipt_of
from services.channels.http.channel import HTTPChannel
from services.channels.http.connections import Keep
from services.channels.http.payload import TEXT_LIMIT, body_of
from services.errors import Unavailable
from tests.fakes.callback_server import (
    BOMB_BYTES,
    Bomb,
    CallbackServer,
    Endless,
    Garbage,
    HangUp,
    Held,
    Status,
    Trickle,
)
from tests.fakes.certificates import Certificates
from tests.fakes.letters import FakeSending, Posting, failure, letter_to

KEY = b"k" * 32
LOOPBACK = Addresses([ipaddress.ip_network("127.0.0.0/8")])
NOW_S = 1_764_000_000.0


@pytest.fixture
def server() -> Iterator[CallbackServer]:
    with CallbackServer() as running:
        yield running


@pytest.fixture
def channel() -> Iterator[HTTPChannel]:
    made = HTTPChannel(LOOPBACK, lambda: [KEY])
    yield made
    made.close()


def send(channel: HTTPChannel, server: CallbackServer, path: str = "/hook") -> Receipt:
    return channel.send(letter_to(server.url + path), FakeSending())


def fail(channel: HTTPChannel, server: CallbackServer, *, timeout_s: float = 10.0) -> DeliveryError:
    return failure(channel, letter_to(f"{server.url}/hook", timeout_s=timeout_s))


def test_the_reference_package_verifies_what_arrives(channel: HTTPChannel, server: CallbackServer) -> None:
    send(channel, server)

    (received,) = server.received
    body = Webhook(base64.b64encode(KEY).decode()).verify(received.body, received.headers)
    assert body["data"]["text"] == "canary-of-the-text"


def test_only_known_headers_are_sent(channel: HTTPChannel, server: CallbackServer) -> None:
    send(channel, server)

    assert set(server.received[0].headers) == {
        *("host", "content-type", "content-length", "user-agent", "accept-encoding"),
        *("webhook-id", "webhook-timestamp", "webhook-signature"),
    }


def test_a_repeat_differs_in_its_time_only(server: CallbackServer) -> None:
    clock = iter([NOW_S, NOW_S, NOW_S + 60, NOW_S + 60])
    channel = HTTPChannel(LOOPBACK, lambda: [KEY], wall_s=lambda: next(clock))
    letter = letter_to(f"{server.url}/hook")

    for _ in range(2):
        channel.send(letter, FakeSending())

    first, second = server.received
    assert (first.id, first.body) == (second.id, second.body)
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]


def test_every_secret_of_a_rotation_signs(server: CallbackServer) -> None:
    HTTPChannel(LOOPBACK, lambda: [KEY, b"n" * 24]).send(letter_to(server.url), FakeSending())

    for key in (KEY, b"n" * 24):
        Webhook(base64.b64encode(key).decode()).verify(server.received[0].body, server.received[0].headers)


def test_without_keys_nothing_is_sent(server: CallbackServer) -> None:
    def away() -> list[bytes]:
        raise Unavailable

    error = fail(HTTPChannel(LOOPBACK, away), server)

    assert (error.kind, error.code, server.connections) == ("not_sent", "keys_unavailable", 0)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_a_receipt(channel: HTTPChannel, server: CallbackServer, status: int) -> None:
    server.will(Status(status=status))

    assert send(channel, server) == Receipt(status=status)


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (301, {"location": "/other"}, ("rejected", None)),
        (308, {"location": "/other"}, ("rejected", None)),
        (400, {}, ("rejected", None)),
        (404, {"retry-after": "7"}, ("rejected", None)),
        (410, {}, ("gone", None)),
        (429, {"retry-after": "7"}, ("overloaded", 7.0)),
        (429, {}, ("rejected", None)),
        (500, {"retry-after": "7"}, ("rejected", None)),
        (502, {"retry-after": "0"}, ("overloaded", 0.0)),
        (503, {"Retry-After": " 120 "}, ("overloaded", 120.0)),
        (503, {"retry-after": "Mon, 24 Nov 2025 16:01:40 GMT"}, ("overloaded", 100.0)),
        (503, {"retry-after": "Mon, 24 Nov 2025 15:00:00 GMT"}, ("overloaded", 0.0)),
        (503, {"retry-after": "Fri, 24 Nov 2125 16:01:40 GMT"}, ("overloaded", 86_400.0)),
        (503, {"retry-after": "999999999"}, ("overloaded", 86_400.0)),
        (503, {"retry-after": "-5"}, ("rejected", None)),
        (503, {"retry-after": "soon"}, ("rejected", None)),
        (503, {"retry-after": "9" * 400}, ("rejected", None)),
        (503, {"retry-after": "Mon, 99 Nov 99999 99:99:99 GMT"}, ("rejected", None)),
        (504, {"retry-after": "1.5"}, ("rejected", None)),
    ],
)
def test_what_an_answer_means(
    status: int, headers: dict[str, str], expected: tuple[str, float | None]
) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]

    with pytest.raises(DeliveryError) as caught:
        receipt_of(status, raw, now_s=NOW_S)

    assert (caught.value.kind, caught.value.retry_after_s) == expected
    assert (caught.value.code, caught.value.status) == (f"http_{status}", status)


def test_a_redirect_reaches_nobody(channel: HTTPChannel, server: CallbackServer) -> None:
    with CallbackServer() as elsewhere:
        server.will(Status(status=307, headers=(("location", f"{elsewhere.url}/"),)))

        assert fail(channel, server).kind == "rejected"
        assert elsewhere.connections == 0


def test_no_proxy_of_the_environment_is_used(server: CallbackServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with CallbackServer() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)

        HTTPChannel(LOOPBACK, lambda: [KEY]).send(letter_to(server.url), FakeSending())

        assert (len(server.received), proxy.connections) == (1, 0)


def test_a_head_that_trickles_in_ends_with_the_time_of_the_letter(
    channel: HTTPChannel, server: CallbackServer
) -> None:
    server.will(Trickle())
    began = time.monotonic()

    error = fail(channel, server, timeout_s=0.5)

    assert (error.kind, error.code) == ("ambiguous", "timeout")
    assert time.monotonic() - began < 3


def test_a_body_that_trickles_in_holds_up_no_receipt_for_long(
    channel: HTTPChannel, server: CallbackServer
) -> None:
    server.will(Trickle(in_body=True))
    began = time.monotonic()

    assert send(channel, server).status == 200
    assert time.monotonic() - began < 4


def test_an_endless_body_is_left_at_the_limit(channel: HTTPChannel, server: CallbackServer) -> None:
    server.will(Endless())

    assert send(channel, server).status == 200

    server.wait_for(lambda it: it.sent_bytes > 0)
    assert send(channel, server).status == 204
    assert server.connections == 2


def test_a_body_that_would_expand_is_not_expanded(channel: HTTPChannel, server: CallbackServer) -> None:
    send(channel, server)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    server.will(Bomb())

    assert send(channel, server).status == 200

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < BOMB_BYTES / 1024 / 4


@pytest.mark.parametrize(("script", "code"), [(HangUp(), "malformed"), (Garbage(), "malformed")])
def test_no_proper_answer_may_still_mean_that_it_arrived(
    channel: HTTPChannel, server: CallbackServer, script: HangUp | Garbage, code: str
) -> None:
    server.will(script)

    error = fail(channel, server)

    assert (error.kind, error.code) == ("ambiguous", code)


def test_connections_are_used_again(channel: HTTPChannel, server: CallbackServer) -> None:
    for status in (204, 200, 500, 200):
        server.will(Status(status=status, body=b"x" * 1000 if status != 204 else b""))
    for path in ("/a", "/b"):
        send(channel, server, path)
    fail(channel, server)
    send(channel, server)

    assert [each.connection for each in server.received] == [1, 1, 1, 1]


def test_a_connection_the_receiver_closed_is_not_used_again(
    channel: HTTPChannel, server: CallbackServer
) -> None:
    server.will(Status(status=200, headers=(("connection", "close"),)))

    for _ in range(2):
        send(channel, server)

    assert [each.connection for each in server.received] == [1, 2]


def test_a_cancelled_letter_leaves_no_broken_connection_behind(
    channel: HTTPChannel, server: CallbackServer
) -> None:
    send(channel, server)
    server.will(Held())
    posting = Posting(channel, letter_to(server.url))
    server.wait_for(lambda it: len(it.received) == 2)
    posting.sending.cancel()
    assert posting.wait(2).error is not None

    send(channel, server)

    assert [each.connection for each in server.received] == [1, 1, 2]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


def test_tls_is_checked_by_name_and_the_connection_is_pinned(certificates: Certificates) -> None:
    with CallbackServer(tls=certificates.server("127.0.0.1")) as server:
        trusting = HTTPChannel(LOOPBACK, lambda: [KEY], tls=certificates.client())

        for _ in range(2):
            send(trusting, server)

        assert [each.connection for each in server.received] == [1, 1]


def test_a_cancel_frees_a_sender_that_waits_behind_tls(certificates: Certificates) -> None:
    with CallbackServer(tls=certificates.server("127.0.0.1")) as server:
        trusting = HTTPChannel(LOOPBACK, lambda: [KEY], tls=certificates.client())
        send(trusting, server)
        server.will(Held())
        posting = Posting(trusting, letter_to(server.url))
        server.wait_for(lambda it: len(it.received) == 2)

        posting.sending.cancel()

        error = posting.wait(2).error
        assert error is not None
        assert error.kind == "cancelled"
        assert send(trusting, server).status == 204


@pytest.mark.parametrize("name", ["127.0.0.2", "example.org"])
def test_a_certificate_of_another_name_is_refused(certificates: Certificates, name: str) -> None:
    with CallbackServer(tls=certificates.server(name)) as server:
        error = fail(HTTPChannel(LOOPBACK, lambda: [KEY], tls=certificates.client()), server)

        assert (error.kind, error.code, server.received) == ("not_sent", "tls_failed", [])


def test_an_unknown_certificate_is_refused(certificates: Certificates) -> None:
    with CallbackServer(tls=certificates.server("127.0.0.1")) as server:
        error = fail(HTTPChannel(LOOPBACK, lambda: [KEY], tls=ssl.create_default_context()), server)

        assert (error.kind, error.code) == ("not_sent", "tls_failed")


def test_a_cancel_frees_a_sender_that_waits_for_a_handshake(channel: HTTPChannel) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.settimeout(5)
        posting = Posting(channel, letter_to(f"https://127.0.0.1:{mute.getsockname()[1]}/"))
        with mute.accept()[0] as accepted:
            accepted.settimeout(5)
            assert accepted.recv(1), "the greeting did not come"

            posting.sending.cancel()

            error = posting.wait(2).error
        assert error is not None
        assert (error.kind, posting.sending.starts) == ("cancelled", 0)


def test_a_handshake_that_does_not_end_costs_no_more_than_the_time_limit(channel: HTTPChannel) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        letter = letter_to(f"https://127.0.0.1:{mute.getsockname()[1]}/", timeout_s=0.3)

        error = failure(channel, letter)

        assert (error.kind, error.code) == ("not_sent", "timeout")


def turned(text: str) -> Letter:
    return letter_to("https://example.org/", text=text)


def test_the_body_tells_the_turn() -> None:
    letter = turned("hello")

    assert json.loads(body_of(letter)) == {
        "type": "turn.settled",
        "timestamp": "2025-11-24T16:00:00.123Z",
        "data": {
            "session": "app:s",
            "turn": 1,
            "outcome": "answered",
            "inputs": [2],
            "text": "hello",
            "usage": msgspec.to_builtins(letter.turn.usage),
        },
    }


def test_the_body_links_to_the_session_where_people_can_reach_the_server() -> None:
    data = json.loads(body_of(turned("hello"), "https://agents.example.org"))["data"]

    assert data["url"] == "https://agents.example.org/api/sessions/app:s"


def test_the_body_tells_why_a_turn_failed_and_under_which_trace() -> None:
    letter = turned("")
    turn = msgspec.structs.replace(letter.turn, outcome="failed", reason="quota", trace_id="ab" * 16)

    data = json.loads(body_of(msgspec.structs.replace(letter, turn=turn)))["data"]

    assert (data["outcome"], data["reason"], data["trace_id"]) == ("failed", "quota", "ab" * 16)


@pytest.mark.parametrize(
    ("text", "kept", "is_cut"),
    [
        ("x" * TEXT_LIMIT, TEXT_LIMIT, False),
        ("x" * (TEXT_LIMIT + 1), TEXT_LIMIT, True),
        ("ü" * (TEXT_LIMIT // 2), TEXT_LIMIT // 2, False),
        ("xü" * TEXT_LIMIT, TEXT_LIMIT * 2 // 3, True),
    ],
)
def test_a_text_over_the_limit_is_cut_between_characters_and_says_so(
    text: str, kept: int, is_cut: bool
) -> None:
    data = json.loads(body_of(turned(text)))["data"]

    assert text.startswith(data["text"])
    assert abs(len(data["text"]) - kept) <= 1
    assert data.get("truncated", False) is is_cut


def test_no_more_connections_wait_than_are_allowed(server: CallbackServer) -> None:
    channel = HTTPChannel(LOOPBACK, lambda: [KEY], keep=Keep(most=1))
    held = [Held(), Held()]
    server.will(*held)
    postings = [Posting(channel, letter_to(server.url)) for _ in held]
    server.wait_for(lambda it: len(it.received) == 2)
    for each in held:
        each.opened.set()
    assert all(posting.wait().receipt for posting in postings)

    for _ in range(2):
        send(channel, server)

    assert server.connections == 2
    assert len({each.connection for each in server.received[2:]}) == 1


@pytest.mark.parametrize("keep", [Keep(longest_s=0), Keep(idle_s=0), Keep(most=0)])
def test_a_connection_that_is_too_old_is_not_used_again(server: CallbackServer, keep: Keep) -> None:
    channel = HTTPChannel(LOOPBACK, lambda: [KEY], keep=keep)

    for _ in range(3):
        send(channel, server)

    assert [each.connection for each in server.received] == [1, 2, 3]


def test_a_connection_that_the_receiver_gave_up_meanwhile_is_noticed(
    channel: HTTPChannel, server: CallbackServer
) -> None:
    server.will(Status(status=200, closes=True))
    send(channel, server)
    server.wait_for(lambda it: it.closed == 1)

    assert send(channel, server).status == 204
    assert server.connections == 2
