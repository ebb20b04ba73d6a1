"""What a signed webhook of another sender is kept as, whatever the sender makes of its fields."""

from __future__ import annotations

import base64
import json
import time

import pytest

from services.channels.http.signing import signed_headers
from services.config import AgentConfig, SourceConfig
from services.errors import Forged, Invalid
from services.inbound.contract import Arrived, Order, Request
from services.inbound.rules import Rules
from services.inbound.standard import LONGEST_ID, StandardSource
from services.variables import Secret

KEY = b"k" * 24
SECRET = Secret(f"whsec_{base64.b64encode(KEY).decode()}")


def source(**config: str) -> StandardSource:
    rules = Rules("shop", (), {"default": AgentConfig()}, usual=frozenset())
    return StandardSource(SourceConfig(name="shop", **config), [SECRET], rules)


def request(body: bytes, *, id: str = "m1", at_s: float | None = None) -> Request:
    now = time.time()
    headers = signed_headers([KEY], id=id, timestamp_s=int(now if at_s is None else at_s), body=body)
    return Request(path="shop", headers=tuple(headers.items()), body=body, received_s=now)


def arrived(body: bytes, *, id: str = "m1", **config: str) -> Arrived:
    made, given = source(**config), request(body, id=id)
    made.verify(given)
    found = made.read(given)
    assert isinstance(found, Arrived)
    return found


def test_long_ids_that_begin_alike_are_two() -> None:
    one, other = ("m" * 250 + end for end in "ab")
    keys = {arrived(b"{}", id=each).key for each in (one, other, one)}

    assert len(keys) == 2
    assert all(len(each) <= len("shop:") + LONGEST_ID for each in keys)
    assert arrived(b"{}", id="m" * LONGEST_ID).key == "shop:" + "m" * LONGEST_ID


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 5000 + b"]" * 5000,
        b'{"type":' + b"9" * 5000 + b"}",
        b'{"a":"\\ud800"}',
        b"\xff",
        b"",
        b'{"a":1',
    ],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        arrived(body)


@pytest.mark.parametrize("customer", ["a:b", "../x", "", "x" * 500, "ü", 7, -(10**300), True, None, [1], {}])
def test_an_order_of_any_make_is_a_stream_and_a_session_of_its_own(customer: object) -> None:
    found = arrived(json.dumps({"data": {"customer": customer}}).encode(), order_by="data.customer")

    order = source(order_by="data.customer").decide(found.received)
    assert isinstance(order, Order)
    assert found.stream.startswith("inbound:shop")
    assert order.session.startswith("in:shop:")
    assert all(part.replace("-", "").replace("_", "").isalnum() for part in order.session.split(":"))


def test_a_request_is_fresh_for_five_minutes_either_way() -> None:
    for off_s in (-310, 310):
        with pytest.raises(Forged):
            source().verify(request(b"{}", at_s=time.time() + off_s))
    source().verify(request(b"{}", at_s=time.time() - 290))


def test_of_a_header_that_is_there_twice_neither_counts() -> None:
    given = request(b"{}")
    doubled = Request(
        path="shop",
        headers=(*given.headers, ("Webhook-Id", "m2")),
        body=given.body,
        received_s=given.received_s,
    )

    with pytest.raises(Forged):
        source().verify(doubled)
