"""`turnwright inbound`: which webhooks were received, and what became of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import click

from deploy.cli import output
from deploy.cli.examples import examples
from deploy.cli.server import Query, Server, find_server
from services.sessions.inbound_values import Delivery, DeliveryPage, DeliveryState

_PAGE = 100


@click.command(
    epilog=examples("turnwright inbound", "turnwright inbound --state pending --source slack --json")
)
@click.option("--state", type=click.Choice(get_args(DeliveryState)), help="Only deliveries in this state.")
@click.option(
    "--source", metavar="NAME", help="Only what this sender sent: slack, github, or a name of [[sources]]."
)
@click.option("--limit", type=click.IntRange(1, 100), default=50, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def inbound(*, state: str | None, source: str | None, limit: int, as_json: bool) -> None:
    """List webhooks that were received in the last 14 days, the newest first, and what became of each."""
    query: dict[str, str | int] = {"limit": limit}
    query |= {"state": state} if state else {}
    query |= {"source": source} if source is not None else {}
    page, raw = find_server().read("/api/inbound", DeliveryPage, query)
    if as_json:
        output.as_json(raw)
        return
    heads = ("received", "delivery", "kind", "state", "")
    output.table(
        heads,
        [_row(each) for each in page.deliveries],
        none="no such delivery" if query.keys() - {"limit"} else "no webhook was received",
    )
    if page.cursor is not None:
        output.note("there is more: see --state, --source and --limit")


def every_delivery(server: Server, query: Query) -> Iterator[Delivery]:
    """The deliveries that `query` asks for, page by page. Raises: Failed."""
    cursor: str | None = ""
    while cursor is not None:
        asked = {**query, "limit": _PAGE} | ({"cursor": cursor} if cursor else {})
        page, _ = server.read("/api/inbound", DeliveryPage, asked)
        yield from page.deliveries
        cursor = page.cursor


def remark(delivery: Delivery) -> str:
    """Where it went, why not, or what it waits for."""
    if delivery.wait is not None:
        until = f"; next try at {output.clock(delivery.wait.until)}" if delivery.wait.until else ""
        return f"{delivery.wait.text}{until}"
    if delivery.state == "routed":
        return f"{delivery.session}@{delivery.offset}"
    told = f", told in the thread: {delivery.session}@{delivery.notice}" if delivery.notice else ""
    return f"{delivery.reason}{told}"


def _row(delivery: Delivery) -> tuple[str, ...]:
    when = output.clock(delivery.received_at)
    return (when, delivery.id, delivery.kind, delivery.state, remark(delivery))
