"""The guard of the channel `http`: nothing reaches a forbidden port, whatever a name comes to stand for."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from services.channels.contract import DeliveryError
from services.channels.http.addresses import Addresses
from services.channels.http.channel import HTTPChannel
from services.channels.http.lookup import Lookups, Resolve
from services.channels.http.targets import Address
from services.variables import Destination
from tests.fakes.callback_server import CallbackServer
from tests.fakes.letters import FakeSending, Posting, failure, letter_to

LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
NAME = "hooks.example.org"


@pytest.fixture
def server() -> Iterator[CallbackServer]:
    with CallbackServer() as running:
        yield running


def channel_to(resolve: Resolve, *allowed: Destination, **limits: float) -> HTTPChannel:
    """A channel whose DNS is `resolve`."""
    lookups = Lookups(resolve, limit_s=limits.get("limit_s", 5.0), at_once=int(limits.get("at_once", 32)))
    return HTTPChannel(Addresses(allowed), lambda: [b"k" * 32], lookups=lookups)


def standing_for(*addresses: str) -> Resolve:
    """A resolver that knows `NAME` only."""

    def resolve(host: str) -> Sequence[Address]:
        if host != NAME:
            raise socket.gaierror(host)
        return [ipaddress.ip_address(each) for each in addresses]

    return resolve


def test_the_control_reaches_the_server_when_it_is_allowed(server: CallbackServer) -> None:
    channel = channel_to(standing_for("127.0.0.1"), LOOPBACK)

    channel.send(letter_to(f"http://{NAME}:{server.port}/hook?a=1"), FakeSending())

    (received,) = server.received
    assert received.headers["host"] == f"{NAME}:{server.port}"
    assert received.path == "/hook?a=1"


def test_a_host_may_be_allowed_by_its_name(server: CallbackServer) -> None:
    channel = channel_to(standing_for("127.0.0.1"), NAME)

    channel.send(letter_to(f"http://{NAME.upper()}:{server.port}/"), FakeSending())

    assert len(server.received) == 1


def test_the_next_address_is_tried_when_one_does_not_answer(server: CallbackServer) -> None:
    channel = channel_to(standing_for("127.0.0.2", "127.0.0.3", "127.0.0.1"), LOOPBACK)

    channel.send(letter_to(f"http://{NAME}:{server.port}/"), FakeSending())

    assert len(server.received) == 1


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("8.8.8.8", "127.0.0.1"),
        ("127.0.0.1", "8.8.8.8"),
        ("::1",),
        ("::ffff:127.0.0.1",),
        ("64:ff9b::7f00:1",),
        ("2002:7f00:1::1",),
        ("0.0.0.0",),
        ("::",),
        ("fe80::1%lo",),
        ("169.254.169.254",),
        ("10.0.0.1",),
        ("100.64.0.1",),
    ],
)
def test_a_name_of_which_any_address_is_forbidden_is_refused(
    server: CallbackServer, addresses: tuple[str, ...]
) -> None:
    sending = FakeSending()
    channel = channel_to(standing_for(*addresses))

    error = failure(channel, letter_to(f"http://{NAME}:{server.port}/"), sending)

    assert (error.kind, error.code) == ("refused", "address_refused")
    assert (server.connections, sending.starts) == (0, 0)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://127.0.0.1:{port}/",
            "http://127.1:{port}/",
            "http://2130706433:{port}/",
            "http://0:{port}/",
        ),
        *("http://0x7f.1:{port}/", "http://0177.0.0.1:{port}/", "http://[::1]:{port}/"),
        *("http://[::ffff:127.0.0.1]:{port}/", "http://[::ffff:7f00:1]:{port}/", "http://localhost:{port}/"),
        *(
            "http://127.0.0.1.:{port}/",
            "http://8.8.8.8@127.0.0.1:{port}/",
            "http://127.0.0.1:{port}#@8.8.8.8/",
        ),
        *("http://8.8.8.8\\@127.0.0.1:{port}/", "http://[::]:{port}/", "http://0.0.0.0:{port}/"),
        *("http://127。0。0。1:{port}/", "http://LocalHost:{port}/", "http://127.0.0.1%2f:{port}/"),
    ],
)
def test_no_spelling_of_this_machine_reaches_it(server: CallbackServer, url: str) -> None:
    channel = HTTPChannel(Addresses(), lambda: [b"k" * 32])

    error = failure(channel, letter_to(url.format(port=server.port)))

    assert error.kind == "refused"
    assert server.connections == 0


def test_a_name_that_changes_its_mind_gains_nothing(server: CallbackServer) -> None:
    asked: list[str] = []

    def rebinding(host: str) -> Sequence[Address]:
        asked.append(host)
        return [ipaddress.ip_address("192.0.2.1" if len(asked) == 1 else "127.0.0.1")]

    # The first answer is let through, as a public one would be, and leads nowhere from here.
    channel = channel_to(rebinding, ipaddress.ip_network("192.0.2.1"))
    letter = letter_to(f"http://{NAME}:{server.port}/", timeout_s=0.3)

    assert failure(channel, letter).kind == "not_sent"
    assert asked == [NAME]
    assert failure(channel, letter).kind == "refused"
    assert (asked, server.connections) == ([NAME, NAME], 0)


def test_a_name_that_nobody_knows_was_not_reached() -> None:
    def raising(host: str) -> Sequence[Address]:
        raise UnicodeError("label too long")

    resolvers: list[Resolve] = [standing_for(), lambda host: [], raising]
    for resolve in resolvers:
        error = failure(channel_to(resolve), letter_to(f"http://{NAME}/"))
        assert (error.kind, error.code) == ("not_sent", "dns_failed")


class StuckDNS:
    """A resolver that hangs until it is freed."""

    def __init__(self) -> None:
        self.asked = threading.Semaphore(0)
        self.freed = threading.Event()

    def __call__(self, host: str) -> Sequence[Address]:
        self.asked.release()
        self.freed.wait(30)
        return []


@pytest.fixture
def stuck() -> Iterator[StuckDNS]:
    dns = StuckDNS()
    yield dns
    dns.freed.set()


def test_a_resolver_that_hangs_costs_its_time_limit_and_no_more(stuck: StuckDNS) -> None:
    began = time.monotonic()

    error = failure(channel_to(stuck, limit_s=0.2), letter_to(f"http://{NAME}/"))

    assert (error.kind, error.code) == ("not_sent", "dns_timeout")
    assert time.monotonic() - began < 2


def test_the_time_of_a_letter_bounds_its_lookup_too(stuck: StuckDNS) -> None:
    error = failure(channel_to(stuck), letter_to(f"http://{NAME}/", timeout_s=0.2))

    assert error.code == "dns_timeout"


def test_a_cancel_frees_a_sender_that_waits_for_dns(stuck: StuckDNS) -> None:
    posting = Posting(channel_to(stuck), letter_to(f"http://{NAME}/"))
    assert stuck.asked.acquire(timeout=5)

    posting.sending.cancel()

    assert isinstance(error := posting.wait(2).error, DeliveryError)
    assert error.kind == "cancelled"


def test_only_so_many_lookups_hang_at_once(stuck: StuckDNS) -> None:
    channel = channel_to(stuck, at_once=2, limit_s=0.1)
    letters = [letter_to(f"http://{NAME}/") for _ in range(3)]

    codes = [failure(channel, each).code for each in letters]

    assert codes == ["dns_timeout", "dns_timeout", "dns_busy"]


def test_a_cancel_frees_a_sender_that_waits_for_a_connection() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for each in fillers:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        posting = Posting(channel_to(standing_for(), LOOPBACK), letter_to(f"http://127.0.0.1:{port}/"))
        try:
            assert posting.sending.watched.wait(5)
            posting.sending.cancel()
            assert isinstance(error := posting.wait(2).error, DeliveryError)
            assert (error.kind, posting.sending.starts) == ("cancelled", 0)
        finally:
            for each in fillers:
                each.close()
