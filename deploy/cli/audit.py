"""`turnwright audit`: whatever has not come to an end, of what was received and what is owed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import click
import msgspec

from deploy.cli import output
from deploy.cli.examples import examples
from deploy.cli.inbound import every_delivery, remark
from deploy.cli.reconcile import reconcile as reconciled
from deploy.cli.server import Misused, Server, find_server
from deploy.cli.tick_waits import open_ticks
from deploy.cli.trigger_words import words_of
from services.sessions.obligations import ObligationPage
from services.sessions.values import OutboxEntry, OutboxPage

_PAGE = 100
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_since = re.compile(r"([1-9][0-9]{0,5})([smhd])")


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """Something without an end. `what` is the ledger it stands in; `since` in epoch milliseconds."""

    what: str
    id: str
    state: str
    since: int
    session: str = ""
    remark: str = ""


class Report(msgspec.Struct, frozen=True):
    """The answer: nothing is owed when `ok`."""

    ok: bool
    owed: tuple[Owed, ...]


@click.command(epilog=examples("turnwright audit --since 2d", "turnwright audit --reconcile --json"))
@click.option("--since", "since", metavar="AGE", help="Only what began in the last AGE, like 30m, 12h, 2d.")
@click.option("--reconcile", is_flag=True, help="First ask GitHub for what it could not deliver.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def audit(*, since: str | None, reconcile: bool, as_json: bool) -> int:
    """List whatever has not come to an end: deliveries, ticks, answers somebody waits for, replies.

    Exit status 0 when nothing is owed, otherwise 1.
    """
    after = _after(since)
    server = find_server()
    if reconcile:
        output.note(reconciled(server))
    found = tuple(one for one in _owed(server) if one.since >= after)
    if as_json:
        output.as_json(msgspec.json.encode(Report(not found, found)))
    elif found:
        rows = [(each.what, each.id, each.state, output.clock(each.since), each.remark) for each in found]
        output.table(("what", "id", "state", "since", ""), rows)
    output.note(f"{len(found)} owed" if found else "nothing is owed")
    return 1 if found else 0


def _after(since: str | None) -> int:
    if since is None:
        return 0
    parts = _since.fullmatch(since)
    if parts is None:
        raise Misused("--since: a number and s, m, h or d, like 30m or 2d")
    return int((time.time() - int(parts[1]) * _UNIT_S[parts[2]]) * 1000)


def _owed(server: Server) -> Iterator[Owed]:
    yield from _deliveries(server)
    yield from _ticks(server)
    yield from _answers(server)
    yield from _replies(server)


def _deliveries(server: Server) -> Iterator[Owed]:
    for each in every_delivery(server, {"state": "pending"}):
        yield Owed(
            what="delivery",
            id=each.id,
            state=each.wait.code if each.wait else each.state,
            since=each.received_at,
            session=each.session,
            remark=remark(each),
        )


def _ticks(server: Server) -> Iterator[Owed]:
    for trigger, each in open_ticks(server):
        yield Owed(
            what="tick",
            id=f"{trigger}@{each.tick}",
            state=each.state,
            since=each.due,
            session=each.session,
            remark=words_of(each, None),
        )


def _answers(server: Server) -> Iterator[Owed]:
    cursor: str | None = ""
    while cursor is not None:
        page, _ = server.read("/api/obligations", ObligationPage, {"cursor": cursor} if cursor else {})
        for each in page.obligations:
            # Once the answer is in the outbox, that is where it stands.
            if not each.reply:
                yield Owed(
                    what="answer",
                    id=f"{each.session}@{each.offset}",
                    state=each.state,
                    since=each.since,
                    session=each.session,
                    remark=f"see: turnwright why {each.session}",
                )
        cursor = page.cursor


def _replies(server: Server) -> Iterator[Owed]:
    cursor: str | None = ""
    while cursor is not None:
        query: dict[str, str | int] = {"limit": _PAGE} | ({"cursor": cursor} if cursor else {})
        page, _ = server.read("/api/outbox", OutboxPage, query)
        for each in page.entries:
            if _is_owed(each):
                yield Owed(
                    what="reply",
                    id=each.id,
                    state=each.state,
                    since=each.since,
                    session=each.session,
                    remark=f"{each.error} ({each.code})" if each.code else each.error,
                )
        cursor = page.cursor


def _is_owed(entry: OutboxEntry) -> bool:
    """Whether nobody decided about it: who wants nothing more, or was sent it again, is owed nothing."""
    return entry.state not in ("discarded", "gone") and not entry.replayed_as
