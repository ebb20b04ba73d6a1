"""Webhooks of two senders over a stage, and a worker that takes them to their sessions step by step."""

from __future__ import annotations

import base64
import itertools
import json
import time
from typing import Any

from services.channels.http.signing import signed_headers
from services.config import RouteConfig, SourceConfig, load_config
from services.inbound.contract import Sources
from services.inbound.rules import Rules
from services.inbound.standard import StandardSource
from services.jobs.claims import Claims
from services.processors.advance import Held
from services.streams.event import EventInput, JobId, StreamId
from services.streams.inbound_events import InboundSettled
from services.variables import Secret
from tests.scenarios.http_stage import Stage

KEY = b"k" * 24
SECRET = Secret(f"whsec_{base64.b64encode(KEY).decode()}")
ANA = StreamId("inbound:shop:ana")
_numbers = itertools.count(1)


def sources() -> Sources:
    """A shop whose customers keep their order, and a bank."""
    routes = [RouteConfig(source="shop", events=("order.spam",), ignore=True)]
    agents = load_config(None).agents
    configs = (SourceConfig(name="shop", order_by="data.customer"), SourceConfig(name="bank"))
    made = [
        StandardSource(each, [SECRET], Rules(each.name, routes, agents, usual=frozenset()))
        for each in configs
    ]
    return {each.name: each for each in made}


def send(stage: Stage, customer: str = "ana", *, type: str = "order.placed", name: str = "shop") -> str:
    """A signed webhook is acknowledged; the body as it was sent."""
    body = json.dumps({"type": type, "data": {"customer": customer}}, indent=1)
    headers = signed_headers([KEY], id=f"m{next(_numbers)}", timestamp_s=int(time.time()), body=body.encode())
    answer = stage.call("POST", f"/webhooks/in/{name}", token=None, data=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return body


def listed(stage: Stage, query: str = "") -> list[dict[str, Any]]:
    """All deliveries, page by page."""
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"cursor": ""}
    while page["cursor"] is not None:
        more = f"&cursor={page['cursor']}" if page["cursor"] else ""
        page = stage.get(f"/api/inbound?{query}{more}")
        found += page["deliveries"]
    return found


class Hand:
    """A worker that takes deliveries to their sessions, step by step."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.claims = Claims(stage.log, "stage")
        keys = stage.log.keys
        for shard in range(keys.shards):
            stage.store.raw("renew", [keys.leases(shard), keys.clock(shard)], ["stage", 60_000, "1"])

    def take(self, offset: int, stream: StreamId = ANA) -> Held:
        """Begin an attempt."""
        job = JobId(f"{stream}@n{offset}")
        claim = self.claims.claim("deliver", job)
        assert claim is not None
        return Held(kind="deliver", id=job, stream=stream, token=claim.token, destination=claim.destination)

    def take_and_end(self, offset: int, settled: InboundSettled, stream: StreamId = ANA) -> None:
        """A whole attempt."""
        self.end(self.take(offset, stream), settled)

    def end(self, held: Held, settled: InboundSettled) -> None:
        """The attempt comes to an outcome."""
        assert self.stage.advancer.settle(held, [EventInput.of("inbound.settled", settled)], None)
