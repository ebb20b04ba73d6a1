"""`turnwright outbox`: what is owed to others, and what a person does about an entry."""

from __future__ import annotations

import re
from typing import get_args
from urllib.parse import quote

import click

from deploy.cli import output
from deploy.cli.examples import examples
from deploy.cli.server import Misused, check_session, find_server
from services.sessions.outbox import ENTRY_ID
from services.sessions.values import Commanded, OutboxEntry, OutboxPage, OutboxState

_entry_id = re.compile(ENTRY_ID)


@click.command(
    epilog=examples(
        "turnwright outbox",
        "turnwright outbox --state poisoned --json",
        "turnwright outbox --replay app:orders@r3",
    )
)
@click.option("--state", type=click.Choice(get_args(OutboxState)), help="Only replies in this state.")
@click.option("--session", metavar="SESSION", help="Only replies of this session.")
@click.option("--limit", type=click.IntRange(1, 100), default=50, show_default=True, help="How many at most.")
@click.option("--replay", "replayed", metavar="ID", help="Send this undelivered reply again.")
@click.option("--discard", "discarded", metavar="ID", help="Deliver this reply no more.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def outbox(
    *,
    state: str | None,
    session: str | None,
    limit: int,
    replayed: str | None,
    discarded: str | None,
    as_json: bool,
) -> None:
    """List replies that are owed, or could not be delivered; send one again, or give it up."""
    if replayed is not None or discarded is not None:
        _decide(replayed, discarded, as_json=as_json)
        return
    if session is not None:
        check_session(session)
    query: dict[str, str | int] = {"limit": limit}
    query |= {"state": state} if state else {}
    query |= {"session": session} if session else {}
    page, raw = find_server().read("/api/outbox", OutboxPage, query)
    if as_json:
        output.as_json(raw)
        return
    heads = ("entry", "state", "to", "attempts", "since", "")
    output.table(
        heads,
        [_row(each) for each in page.entries],
        none="no such reply" if state or session else "no reply waits or failed",
    )
    if page.cursor is not None:
        output.note("there is more: see --state, --session and --limit")


def _decide(replayed: str | None, discarded: str | None, *, as_json: bool) -> None:
    if replayed is not None and discarded is not None:
        raise click.UsageError("--replay and --discard exclude each other.")
    verb, entry = ("replay", replayed) if replayed is not None else ("discard", discarded or "")
    if not entry or not _entry_id.fullmatch(entry):
        raise Misused(f"--{verb}: must be the id of an entry, like app:orders@r3")
    commanded, raw = find_server().send(f"/api/outbox/{quote(entry, safe='')}/{verb}", Commanded, {})
    if as_json:
        output.as_json(raw)
    elif commanded.changed:
        output.say("it is sent again" if verb == "replay" else "discarded")
    else:
        output.say("that was asked already")


def _row(entry: OutboxEntry) -> tuple[str, ...]:
    to = entry.address or f"{entry.channel} {entry.destination}"
    return (entry.id, entry.state, to, str(entry.attempts), output.clock(entry.since), _remark(entry))


def _remark(entry: OutboxEntry) -> str:
    detail = f" ({entry.code})" if entry.code else ""
    said = f"{entry.error}{detail}"
    if entry.next_attempt_at is not None:
        said += f", next at {output.clock(entry.next_attempt_at)}"
    if entry.replayed_as:
        said += f", sent again as {entry.replayed_as}"
    return said
