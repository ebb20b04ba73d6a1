"""`turnwright spool`: what waits on a host for the log store, and what a person does about what that refused."""

from __future__ import annotations

import re

import click

from deploy.cli import output
from deploy.cli.examples import examples
from deploy.cli.server import Failed, Misused, Server, find_server
from services.spool.refused import ALL, REFUSED_ID, Decided, Refused, SpoolPage

_refused_id = re.compile(REFUSED_ID)


@click.command(epilog=examples("turnwright spool", "turnwright spool --retry all"))
@click.option("--limit", type=click.IntRange(1, 100), default=50, show_default=True, help="How many at most.")
@click.option("--show", "shown", metavar="ID", help="Show this refused webhook and its body.")
@click.option("--retry", "retried", metavar="ID|all", help="Let the log store have it again.")
@click.option("--discard", "discarded", metavar="ID|all", help="Take it away for good.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def spool(
    *, limit: int, shown: str | None, retried: str | None, discarded: str | None, as_json: bool
) -> None:
    """Say what waits on the server's host for the log store; list webhooks that it refused for good.

    Each was acknowledged to its sender. Retry it once its reason is mended, or discard it.
    """
    chosen = {"show": shown, "retry": retried, "discard": discarded}
    given = {verb: id for verb, id in chosen.items() if id is not None}
    if len(given) > 1:
        raise click.UsageError("--show, --retry and --discard exclude each other.")
    for verb, id in given.items():
        _check(verb, id)
        if verb == "show":
            _show(find_server(), id, as_json=as_json)
        else:
            _decide(find_server(), verb, id, as_json=as_json)
        return
    _list(find_server(), limit, as_json=as_json)


def _list(server: Server, limit: int, *, as_json: bool) -> None:
    page, raw = server.read("/api/spool", SpoolPage, {"limit": limit})
    if as_json:
        output.as_json(raw)
        return
    output.say(_summary(page))
    if page.refused:
        heads = ("refused", "received", "stream", "key", "reason")
        output.table(heads, [_row(each) for each in page.refused])
    if page.cursor is not None:
        output.note("there is more: see --limit, and --retry or --discard these")


def _summary(page: SpoolPage) -> str:
    if page.off:
        return f"{page.host} has no spool: {page.off}"
    if not page.waiting:
        return f"nothing waits on {page.host}"
    return (
        f"{page.waiting} webhook(s) of {page.streams} stream(s) wait on {page.host} for the log store,"
        f" the first for {page.oldest_s:.0f} s"
    )


def _show(server: Server, id: str, *, as_json: bool) -> None:
    found, raw = server.read(f"/api/spool/{id}", Refused)
    if as_json:
        output.as_json(raw)
        return
    for name, value in (
        ("stream", found.stream),
        ("key", found.key),
        ("received", output.clock(found.received_at)),
        ("refused", f"{output.clock(found.refused_at)}, {found.reason}"),
    ):
        output.say(f"{name:<9} {value}")
    output.say(found.body or "it can not be read")


def _decide(server: Server, verb: str, id: str, *, as_json: bool) -> None:
    decided, raw = server.send(f"/api/spool/{id}/{verb}", Decided, {})
    if not decided.changed and id != ALL:
        raise Failed(f"no webhook {id} is refused on that host, or no longer: see `turnwright spool`")
    if as_json:
        output.as_json(raw)
    elif verb == "retry":
        output.say(f"{decided.changed} webhook(s) wait for the log store again")
    else:
        output.say(f"{decided.changed} webhook(s) discarded")


def _check(verb: str, id: str) -> None:
    if not _refused_id.fullmatch(id) and (verb == "show" or id != ALL):
        also = "" if verb == "show" else ", or all"
        raise Misused(f"--{verb}: must be the id of a refused webhook as `turnwright spool` lists it{also}")


def _row(each: Refused) -> tuple[str, ...]:
    return (each.id, output.clock(each.received_at), each.stream, each.key, each.reason)
