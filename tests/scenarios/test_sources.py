"""Webhooks of other senders: signed as Standard Webhooks has it, kept once, and taken to a session."""

from __future__ import annotations

import base64
import itertools
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx2
import pytest
from standardwebhooks import Webhook

from services.streams.vocabulary import InputReceived
from tests.scenarios.agent_session import Session
from tests.scenarios.platform import Platform, Setup, installed_site, running_platform

OLD, NEW = (f"whsec_{base64.b64encode(bytes([n]) * 24).decode()}" for n in (1, 2))
CONFIG = """
[[sources]]
name = "shop"
order_by = "data.customer"
text = "data.note"

[[sources]]
name = "mute"

[[routes]]
source = "shop"
events = ["order.spam"]
ignore = true
"""
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    setup = Setup(
        site=installed_site(tmp_path_factory),
        config=CONFIG,
        environment={"TURNWRIGHT_SOURCE_SHOP_SECRET": f"{OLD},{NEW}"},
    )
    with running_platform(tmp_path_factory.mktemp("sources"), setup) as platform:
        yield platform


def send(
    platform: Platform,
    body: dict[str, object],
    *,
    secret: str = NEW,
    id: str = "",
    name: str = "shop",
    ago_s: float = 0.0,
    **headers: str,
) -> httpx2.Response:
    """What a sender posts."""
    raw = json.dumps(body)
    id = id or f"msg_{next(_numbers)}"
    at = datetime.fromtimestamp(time.time() - ago_s, UTC)
    signed = {
        "webhook-id": id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(id, at, raw),
        "content-type": "application/json",
        "authorization": "",
        **headers,
    }
    return platform.http.post(f"/webhooks/in/{name}", content=raw.encode(), headers=signed)


def order(note: str, customer: str, type: str = "order.placed") -> dict[str, object]:
    return {"type": type, "data": {"customer": customer, "note": note}}


def test_a_delivery_becomes_an_input_of_its_customers_session(platform: Platform) -> None:
    assert send(platform, order("two lamps", "ana"), secret=OLD).status_code == 200
    assert send(platform, order("and a table", "ana")).status_code == 200

    session = Session(platform, id="in:shop:ana")
    session.settled(2)
    said = [each.text for each in session.all("input.received", InputReceived)]
    assert said == ["two lamps", "and a table"]


def test_the_same_delivery_again_is_the_same_input(platform: Platform) -> None:
    for _ in range(3):
        assert send(platform, order("once", "ben"), id="msg_same").status_code == 200
    assert send(platform, order("after", "ben")).status_code == 200

    session = Session(platform, id="in:shop:ben")
    session.settled(2)
    assert len(session.events("input.received")) == 2


def test_what_a_route_ignores_starts_nothing(platform: Platform) -> None:
    assert send(platform, order("spam", "cleo", type="order.spam")).status_code == 200
    assert send(platform, order("real", "cleo")).status_code == 200

    session = Session(platform, id="in:shop:cleo")
    session.settled(1)
    assert len(session.events("input.received")) == 1


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"secret": f"whsec_{base64.b64encode(b'x' * 24).decode()}"}, 401),
        ({"ago_s": 3600.0}, 401),
        ({"ago_s": -3600.0}, 401),
        ({"webhook-signature": "v1,"}, 401),
        ({"webhook-id": ""}, 401),
        ({"content-encoding": "gzip"}, 415),
        ({"name": "nobody"}, 404),
        ({"name": "mute"}, 503),
    ],
)
def test_what_is_not_believed_is_refused_and_leaves_nothing(
    platform: Platform, change: dict[str, str], status: int
) -> None:
    answer = send(platform, order("never", "dora"), **change)  # type: ignore[arg-type]  # one of its options

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    left = platform.http.get("/api/sessions/in:shop:dora")
    assert left.status_code == 404, left.text


def test_a_body_that_is_no_json_is_refused_though_it_is_signed(platform: Platform) -> None:
    id, at = "msg_broken", datetime.now(UTC)
    headers = {
        "webhook-id": id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(NEW).sign(id, at, "{"),
        "authorization": "",
    }
    assert platform.http.post("/webhooks/in/shop", content=b"{", headers=headers).status_code == 422


def test_a_body_over_the_limit_is_refused_before_it_is_read(platform: Platform) -> None:
    answer = send(platform, order("x" * 1_048_577, "eve"))
    assert answer.status_code == 413
