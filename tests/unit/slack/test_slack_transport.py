"""Answers of Slack are read to their end, or are no answers."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from services.channels.contract import DeliveryError
from services.channels.http.addresses import Addresses
from services.channels.http.attempt import Attempt
from services.channels.http.connection import Connection
from services.channels.http.targets import target_of
from services.channels.slack.transport import Answer, Transport
from tests.fakes.callback_server import CallbackServer, Raw
from tests.fakes.letters import FakeSending

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


@pytest.fixture
def server() -> Iterator[CallbackServer]:
    with CallbackServer() as running:
        yield running


@pytest.fixture
def transport() -> Iterator[Transport]:
    with closing(Transport(Addresses([ipaddress.ip_network("127.0.0.0/8")]))) as made:
        yield made


def _ask(transport: Transport, server: CallbackServer, headers: dict[str, str] | None = None) -> Answer:
    target = target_of(f"{server.url}/api/auth.test")
    return transport.post(target, headers or {}, b"{}", sending=FakeSending(), timeout_s=5.0)


@pytest.mark.parametrize(
    "said",
    [
        (OK + b"X-One: 1\r\ncontent-length: 5\r\n\r\nhello",),
        (OK + b"X-One: 1\r\ncontent-length: 5\r\n\r\n", b"he", b"llo"),
        (OK + b"X-One: 1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n", b"3\r\nllo\r\n0\r\n\r\n"),
    ],
)
def test_an_answer_is_whole_however_it_came(
    transport: Transport, server: CallbackServer, said: tuple[bytes, ...]
) -> None:
    server.will(Raw(pieces=said), Raw(pieces=said))

    answers = [_ask(transport, server) for _ in range(2)]

    for answer in answers:
        assert (answer.status, answer.headers["x-one"], answer.body) == (200, "1", b"hello")
    assert server.connections == 1


@pytest.mark.parametrize(
    "said",
    [
        OK + b"content-length: 9\r\n\r\nshort",
        CHUNKED + b"5\r\nok",
        CHUNKED + b"2\r\nok\r\n",
        OK + b"\r\nuntil the end, wherever that is",
        CHUNKED + b"x\r\n",
    ],
)
def test_an_answer_that_was_cut_short_is_none(
    transport: Transport, server: CallbackServer, said: bytes
) -> None:
    server.will(Raw(pieces=(said,), closes=True))

    with pytest.raises(DeliveryError) as caught:
        _ask(transport, server)

    assert (caught.value.kind, caught.value.code) == ("ambiguous", "hung_up")


def test_an_answer_beyond_all_measure_is_none() -> None:
    ours, theirs = socket.socketpair()
    with closing(theirs), closing(Connection(ours, ends_at=float("inf"))) as connection:
        theirs.sendall(OK + b"content-length: 2000\r\n\r\n" + b"x" * 2000)

        with pytest.raises(DeliveryError) as caught:
            connection.ask_whole(b"POST", Attempt(FakeSending(), 5.0), limit=1000)

    assert (caught.value.kind, caught.value.code) == ("ambiguous", "answer_too_long")
    assert not connection.is_free


def test_a_token_that_is_more_than_one_line_is_not_sent(transport: Transport, server: CallbackServer) -> None:
    with pytest.raises(DeliveryError) as caught:
        _ask(transport, server, {"authorization": "Bearer x\r\nx-evil: 1"})

    assert (caught.value.kind, caught.value.code) == ("not_sent", "malformed")
    assert server.received == []
