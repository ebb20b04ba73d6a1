"""Connections of the channel `http`: what may go wrong on a wire, and which one is used again."""

from __future__ import annotations

import ipaddress
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

import pytest

from services.channels.contract import DeliveryError, Receipt
from services.channels.http.addresses import Addresses
from services.channels.http.attempt import Attempt
from services.channels.http.channel import HTTPChannel
from services.channels.http.request import UnsafeHeader, request_of
from services.channels.http.targets import target_of
from services.channels.http.tls import secured
from services.sockets import is_ready
from tests.fakes.callback_server import CallbackServer, Raw
from tests.fakes.certificates import Certificates
from tests.fakes.letters import FakeSending, Posting, failure, letter_to

OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = OK + b"content-length: 0\r\n\r\n"
# Twice as long in JSON, and by far more than the sockets of these tests take at once.
LARGE = "\n" * 200_000
LINGER_NOT = struct.pack("ii", 1, 0)


@pytest.fixture
def server() -> Iterator[CallbackServer]:
    with CallbackServer() as running:
        yield running


@pytest.fixture
def channel() -> Iterator[HTTPChannel]:
    with closing(HTTPChannel(Addresses([ipaddress.ip_network("127.0.0.0/8")]), lambda: [b"k" * 32])) as made:
        yield made


def send(channel: HTTPChannel, server: CallbackServer) -> Receipt:
    return channel.send(letter_to(server.url), FakeSending())


def one_by_one(said: bytes) -> tuple[bytes, ...]:
    """`said` a byte at a time."""
    return tuple(bytes([each]) for each in said)


@pytest.mark.parametrize(
    ("said", "status", "is_used_again"),
    [
        (one_by_one(OK + b"content-length: 2\r\n\r\nok"), 200, True),
        (one_by_one(OK + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n"), 200, True),
        ((b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Hints\r\n\r\n" + EMPTY), 200, True),
        ((OK + b"content-length: 2\r\n\r\n", b"ok"), 200, True),
        ((EMPTY + EMPTY,), 200, False),
        ((OK + b"transfer-encoding: chunked\r\n\r\n1\r\nlie\r\n0\r\n\r\n",), 200, False),
        ((b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",), 200, False),
        ((OK + b"content-length: 200000\r\n\r\n" + b"x" * 200_000,), 200, False),
    ],
)
def test_a_connection_is_used_again_only_when_its_answer_was_read_to_the_end(
    channel: HTTPChannel, server: CallbackServer, said: tuple[bytes, ...], status: int, is_used_again: bool
) -> None:
    server.will(Raw(pieces=said))

    assert send(channel, server) == Receipt(status=status)
    send(channel, server)

    assert [each.connection for each in server.received] == [1, 1 if is_used_again else 2]


@pytest.mark.parametrize(
    "said",
    [
        OK + b"\r\nuntil the end",
        OK + b"content-length: 9\r\n\r\nshort",
        OK + b"transfer-encoding: chunked\r\n\r\n5\r\nok",
    ],
)
def test_an_answer_that_ends_with_its_connection_is_a_receipt_however_long_it_was(
    channel: HTTPChannel, server: CallbackServer, said: bytes
) -> None:
    server.will(Raw(pieces=(said,), closes=True))

    assert send(channel, server) == Receipt(status=200)
    send(channel, server)

    assert [each.connection for each in server.received] == [1, 2]


def test_a_refusal_without_a_body_leaves_the_connection_usable(
    channel: HTTPChannel, server: CallbackServer
) -> None:
    server.will(Raw(pieces=(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n",)))

    assert failure(channel, letter_to(server.url)).code == "http_304"
    send(channel, server)

    assert [each.connection for each in server.received] == [1, 1]


@pytest.mark.parametrize(
    "raw",
    [
        Raw(pieces=(b"HTTP/1.1 200 O",), closes=True),
        Raw(pieces=(b"HTTP/1.1 100 Continue\r\n\r\n",), closes=True),
        Raw(pieces=(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",)),
        Raw(pieces=(b"HTTP/1.1 100 Continue\r\n\r\n",) * 5000),
        Raw(pieces=(OK, b"x: " + b"x" * 200_000)),
        Raw(pieces=(OK, b"x: x\r\n" * 300)),
        Raw(pieces=(b"HTTP/1.1 2000 OK\r\n\r\n",)),
    ],
    ids=["cut", "interim only", "upgrade", "endless interim", "huge head", "many headers", "status"],
)
def test_no_proper_answer_is_malformed_and_ends_the_connection(
    channel: HTTPChannel, server: CallbackServer, raw: Raw
) -> None:
    server.will(raw)

    error = failure(channel, letter_to(server.url))

    assert (error.kind, error.code) == ("ambiguous", "malformed")
    assert send(channel, server).status == 204
    assert [each.connection for each in server.received] == [1, 2]


@contextmanager
def receiver(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A receiver that takes little at once and treats each connection with `answer`: its URL."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def serve() -> None:
            while True:
                try:
                    accepted, _ = listening.accept()
                except OSError:
                    return
                with accepted:
                    answer(accepted)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def refuse(accepted: socket.socket) -> None:
    """Answer before most of the request was read, and have no more of it."""
    accepted.recv(1000)
    accepted.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")


def test_an_answer_that_comes_before_the_request_is_sent_counts(channel: HTTPChannel) -> None:
    with receiver(refuse) as url:
        error = failure(channel, letter_to(url, text=LARGE))

    assert (error.kind, error.code) == ("rejected", "http_413")


def test_a_receiver_that_breaks_off_while_it_is_told_may_have_understood(channel: HTTPChannel) -> None:
    def break_off(accepted: socket.socket) -> None:
        accepted.recv(1000)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)

    with receiver(break_off) as url:
        error = failure(channel, letter_to(url, text=LARGE))

    assert (error.kind, error.code) in {("ambiguous", "hung_up"), ("ambiguous", "malformed")}


def wait_until(left: threading.Event, accepted: socket.socket) -> None:
    """Take the beginning of a request, and then nothing until `left` is set."""
    accepted.recv(1000)
    left.wait(10)


def test_a_receiver_that_stops_listening_costs_no_more_than_the_time_limit(channel: HTTPChannel) -> None:
    left = threading.Event()
    with receiver(partial(wait_until, left)) as url:
        error = failure(channel, letter_to(url, text=LARGE, timeout_s=0.3))
        left.set()

    assert (error.kind, error.code) == ("ambiguous", "timeout")


def test_a_cancel_frees_a_sender_whose_receiver_stopped_listening(channel: HTTPChannel) -> None:
    left, listened = threading.Event(), threading.Event()

    def stop_listening(accepted: socket.socket) -> None:
        accepted.recv(1000)
        listened.set()
        left.wait(10)

    with receiver(stop_listening) as url:
        posting = Posting(channel, letter_to(url, text=LARGE))
        assert listened.wait(5)
        posting.sending.cancel()
        error = posting.wait(2).error
        left.set()

    assert error is not None
    assert error.kind == "cancelled"


def test_a_large_letter_arrives_whole_at_a_receiver_that_reads_little_at_once(channel: HTTPChannel) -> None:
    taken = bytearray()

    def read_slowly(accepted: socket.socket) -> None:
        while not taken.endswith(b"}}"):
            taken.extend(accepted.recv(777))
        accepted.sendall(EMPTY)

    with receiver(read_slowly) as url:
        assert channel.send(letter_to(url, text=LARGE), FakeSending()).status == 200

    assert taken.count(b"\\n") == len(LARGE)


def test_a_large_letter_arrives_whole_over_tls(tmp_path_factory: pytest.TempPathFactory) -> None:
    certificates = Certificates(tmp_path_factory.mktemp("tls"))
    allowed = Addresses([ipaddress.ip_network("127.0.0.0/8")])
    with CallbackServer(tls=certificates.server("127.0.0.1")) as server:
        trusting = HTTPChannel(allowed, lambda: [b"k" * 32], tls=certificates.client())
        for _ in range(2):
            trusting.send(letter_to(server.url, text=LARGE), FakeSending())

    assert [(each.connection, each.data["text"]) for each in server.received] == [(1, LARGE), (1, LARGE)]


def test_who_is_gone_before_the_handshake_is_told_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        opened = socket.create_connection(listening.getsockname())
        accepted, _ = listening.accept()
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        accepted.close()
    assert is_ready(opened, select.POLLIN, within_s=5)
    assert opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), "it was not reset"

    # Python takes such a socket for one that is not connected yet, and would write to it in the clear.
    with pytest.raises(DeliveryError) as caught:
        secured(opened, ssl.create_default_context(), "127.0.0.1", Attempt(FakeSending(), 5))

    assert (caught.value.kind, caught.value.code) == ("not_sent", "tls_failed")
    assert opened.fileno() < 0


def test_a_request_leaves_in_one_piece(channel: HTTPChannel) -> None:
    pieces: list[bytes] = []

    def take_one(accepted: socket.socket) -> None:
        pieces.append(accepted.recv(65_536))
        accepted.sendall(EMPTY)

    with receiver(take_one) as url:
        channel.send(letter_to(url), FakeSending())

    head, body = pieces[0].split(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head


@pytest.mark.parametrize("unsafe", ["a\r\nx: y", "a\nb", "a\0", "ü", "a\tb"])
def test_a_header_that_could_be_read_as_more_than_one_is_not_sent(unsafe: str) -> None:
    target = target_of("https://example.org/hook")

    for headers in ({"x": unsafe}, {unsafe: "x"}):
        with pytest.raises(UnsafeHeader) as caught:
            request_of(target, headers, b"")
        assert not str(caught.value)
