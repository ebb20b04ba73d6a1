"""The channel of a package as a source: what it says is checked, kept, and told apart by the routes."""

from __future__ import annotations

import msgspec
import pytest

from services.channels.border import Border
from services.channels.installed import Guarded, Installed
from services.config import RouteConfig, load_config
from services.errors import Forged, Invalid
from services.inbound.contract import Answer, Arrived, Dropped, Ignored, Order, Request, Said
from services.inbound.plugged import PluggedSource
from services.inbound.rules import Rules
from services.streams.event import StreamId
from services.streams.inbound_events import Delivery, InboundQueued, InboundReceived
from tests.fakes.letters import FakeSending
from tests.unit.test_installed_channels import Plain

HELLO = Delivery(key="m1", thread="hall", text="hello", reply_to="hall", place="hall", author="ana")


class Scripted:
    """Answers as it is told."""

    def __init__(self, verified: object, told: object) -> None:
        self.verified, self.told = verified, told

    def verify(self, request: Request) -> object:
        return self.verified

    def read(self, request: Request) -> object:
        return self.told


def source(
    told: object = HELLO, *, verified: object = None, routes: tuple[RouteConfig, ...] = ()
) -> PluggedSource:
    border = Border("plain")
    installed = Installed(name="plain", channel=Guarded(Plain(), border), border=border)
    rules = Rules("plain", routes, load_config(None).agents, usual=frozenset())
    return PluggedSource(installed, Scripted(verified, told), rules)


def request(body: bytes = b"{}") -> Request:
    return Request(path="", headers=[], body=body, received_s=1_764_000_000.5)


def arrived(told: Delivery, body: bytes = b"{}") -> Arrived:
    found = source(told).read(request(body))
    assert isinstance(found, Arrived)
    return found


def order(told: Delivery, *routes: RouteConfig) -> Order:
    found = source(routes=routes).decide(arrived(told).received)
    assert isinstance(found, Order)
    return found


def composed(told: Delivery) -> Said | Dropped:
    queued = InboundQueued(job="j", delivery=1, session="plain:hall", destination="d", policy="steer")
    return source().compose(queued, arrived(told).received, FakeSending(), is_first=True)


def test_a_sender_is_not_told_why_a_channel_is_closed() -> None:
    border = Border("plain")
    installed = Installed(
        name="plain", channel=Guarded(Plain(), border), border=border, off="not set: PLAIN_URL"
    )
    rules = Rules("plain", (), load_config(None).agents, usual=frozenset())

    assert PluggedSource(installed, Scripted(None, HELLO), rules).off == "not set up"


@pytest.mark.parametrize("verified", [False, True, 0, "no"])
def test_a_check_that_answers_instead_of_raising_is_no_yes(verified: object) -> None:
    with pytest.raises(Forged):
        source(verified=verified).verify(request())
    source().verify(request())


def test_a_delivery_is_kept_verbatim_in_the_stream_of_its_thread_under_the_key_of_its_sender() -> None:
    kept = arrived(HELLO, b'{"a": 1}')

    assert (kept.stream, kept.key) == ("inbound:plain:hall", "plain:m1")
    assert (kept.received.body, kept.received.told, kept.received.sent_at) == (
        '{"a": 1}',
        HELLO,
        1_764_000_000_500,
    )


@pytest.mark.parametrize("thread", ["a:b", "slack:T1:C1:1.2", "room 7", "ä", "x" * 101])
def test_a_thread_can_not_name_a_session_of_anybody_else(thread: str) -> None:
    told = msgspec.structs.replace(HELLO, thread=thread)

    for id in (arrived(told).stream.removeprefix("inbound:"), order(told).session):
        name, _, rest = id.partition(":")
        assert (name, len(rest), rest.isalnum()) == ("plain", 32, True)


def test_a_template_is_filled_with_parts_that_stay_parts() -> None:
    route = RouteConfig(source="plain", session="{team}:{author}")
    told = msgspec.structs.replace(HELLO, parts={"team": "slack:T1", "author": "root"})

    assert order(HELLO, RouteConfig(source="plain", session="plain:{author}")).session == "plain:ana"
    first, second = order(told, route).session.split(":")
    assert (len(first), second) == (32, "ana")


def test_what_is_said_carries_who_said_it_and_where_it_is_answered() -> None:
    said = composed(HELLO)

    assert isinstance(said, Said)
    assert said.key == "plain:m1"
    heard = said.input
    assert (heard.text, heard.source, heard.author) == ("hello", "plain", "ana")
    assert (heard.reply_to, heard.policy, heard.message) == ("plain:hall", "steer", "m1")
    unanswered = composed(msgspec.structs.replace(HELLO, reply_to=""))
    assert isinstance(unanswered, Said)
    assert unanswered.input.reply_to is None


def test_who_says_nothing_is_not_answered() -> None:
    assert composed(msgspec.structs.replace(HELLO, text=" \n")) == Dropped("nothing_said")


def test_a_bot_is_ignored_unless_a_route_takes_it() -> None:
    told = msgspec.structs.replace(HELLO, is_bot=True)

    assert source().decide(arrived(told).received) == Ignored("bot")
    assert order(told, RouteConfig(source="plain", bots=True)).session == "plain:hall"


def test_what_came_while_the_name_was_another_sources_is_ignored() -> None:
    old = InboundReceived(source="plain", kind="order", body="{}")

    assert source().decide(old) == Ignored("of_another_kind")


@pytest.mark.parametrize(
    "told",
    [
        None,
        {"key": "m1"},
        Answer(body="text"),  # type: ignore[arg-type]  # a bug of the package
        Answer(body=b"x" * 65_537),
        msgspec.structs.replace(HELLO, key=""),
        msgspec.structs.replace(HELLO, key="k" * 201),
        msgspec.structs.replace(HELLO, thread=""),
        msgspec.structs.replace(HELLO, text="\ud800"),
        msgspec.structs.replace(HELLO, text="x" * 262_145),
        msgspec.structs.replace(HELLO, is_bot="no"),
        msgspec.structs.replace(HELLO, parts={"team": object()}),
        msgspec.structs.replace(HELLO, parts={str(n): "x" for n in range(51)}),
    ],
)
def test_what_a_package_may_not_say_is_a_webhook_that_is_refused(told: object) -> None:
    with pytest.raises(Invalid):
        source(told).read(request())


def test_a_body_that_is_no_text_is_refused() -> None:
    with pytest.raises(Invalid):
        source().read(request(b"\xff"))


def test_the_session_of_a_thread_is_one_that_streams_may_have() -> None:
    assert order(HELLO).session == StreamId("plain:hall")
