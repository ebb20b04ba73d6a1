"""`turnwright processors`: which are installed, where those of a session stand, and how a parked one goes on."""

from __future__ import annotations

import re

import click
import msgspec

from deploy.cli import output
from deploy.cli.examples import examples
from deploy.cli.remote import as_json_option, command
from deploy.cli.server import Misused, find_server, session_path
from services.sessions.values import InstalledProcessors, ProcessorView, SessionDetail

_processor_name = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@click.command(
    epilog=examples(
        "turnwright processors",
        "turnwright processors app:tour",
        "turnwright processors app:tour --resume agent",
    )
)
@click.argument("session", required=False)
@click.option("--resume", "resumed", metavar="NAME", help="Let this parked processor try again.")
@click.option("--skip", "skipped", metavar="NAME", help="Let it pass by the event it stumbled over.")
@as_json_option
def processors(session: str | None, *, resumed: str | None, skipped: str | None, as_json: bool) -> None:
    """List the installed processors, or where those of SESSION stand; let a parked one go on."""
    if resumed is not None or skipped is not None:
        _unpark(session, resumed=resumed, skipped=skipped, as_json=as_json)
        return
    server = find_server()
    if session is None:
        known, raw = server.read("/api/processors", InstalledProcessors)
        rows = [(each.name, f"v{each.version}", ", ".join(each.consumes)) for each in known.processors]
        heads = ("processor", "version", "consumes")
    else:
        detail, raw = server.read(session_path(session), SessionDetail, {"limit": 1})
        raw = msgspec.json.encode({"session": detail.session, "processors": detail.processors})
        heads = ("processor", "version", "status")
        rows = [(each.name, f"v{each.version}", _standing(each)) for each in detail.processors]
    output.as_json(raw) if as_json else output.table(heads, rows)


def _unpark(session: str | None, *, resumed: str | None, skipped: str | None, as_json: bool) -> None:
    if session is None:
        raise click.UsageError("--resume and --skip need a SESSION.")
    if resumed is not None and skipped is not None:
        raise click.UsageError("--resume and --skip exclude each other.")
    name, verb, done = (resumed, "resume", "resumed") if resumed is not None else (skipped, "skip", "skipped")
    if not name or not _processor_name.fullmatch(name):
        raise Misused(f"--{verb}: {name!r} can not be the name of a processor")
    path = session_path(session, "processors", name, verb)
    command(path, {}, done=done, undone=f"it was {done} already", as_json=as_json)


def _standing(processor: ProcessorView) -> str:
    if processor.status == "parked":
        return f"parked before the event at {processor.fault} ({processor.error})"
    return "up to date" if processor.offset is None else f"catching up, at {processor.offset}"
