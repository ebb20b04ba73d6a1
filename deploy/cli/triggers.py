"""`turnwright triggers`: what is asked by the clock, and what became of each due time."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click
import msgspec

from deploy.cli import output
from deploy.cli.examples import examples
from deploy.cli.server import Absent, Misused, Server, find_server
from deploy.cli.trigger_words import local, show_trigger, tick_row, trigger_row, zone_of_trigger
from services.schedule.names import TRIGGER_ID
from services.sessions.trigger_values import (
    Defined,
    Fired,
    Preview,
    TickPage,
    TickView,
    TriggerPage,
    TriggerView,
)

_PAGE = 1000
_UNITS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DAYS_KEPT = 7

_id = re.compile(TRIGGER_ID)
_span = re.compile(r"([0-9]{1,4})([mhd])")

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
trigger_argument = click.argument("trigger")


@click.group(
    epilog=examples(
        "turnwright triggers set standup --cron '0 9 * * 1-5' --tz Europe/Berlin --prompt 'What is due on {date}?'",
        "turnwright triggers explain standup --since 2d",
    )
)
def triggers() -> None:
    """What is asked by the clock: list and define triggers, explain what became of each due time."""


@triggers.command("list", epilog=examples("turnwright triggers list"))
@as_json_option
def list_(*, as_json: bool) -> None:
    """List the triggers that are there, with when each is due next."""
    server = find_server()
    found: list[TriggerView] = []
    cursor: str | None = ""
    while cursor is not None:
        page, _ = server.read(
            "/api/triggers", TriggerPage, {"limit": 500, **({"cursor": cursor} if cursor else {})}
        )
        found += page.triggers
        cursor = page.cursor
    if as_json:
        output.as_json(msgspec.json.encode(TriggerPage(triggers=tuple(found), cursor=None)))
        return
    output.table(
        ("trigger", "status", "when", "zone", "next", "open"),
        [trigger_row(each) for each in found],
        none="no triggers",
    )


@triggers.command(epilog=examples("turnwright triggers show standup"))
@trigger_argument
@as_json_option
def show(trigger: str, *, as_json: bool) -> None:
    """Show one TRIGGER."""
    found, raw = find_server().read(_path(trigger), TriggerView)
    output.as_json(raw) if as_json else show_trigger(found)


@triggers.command(
    "set",
    epilog=examples(
        "turnwright triggers set standup --cron '0 9 * * 1-5' --tz Europe/Berlin --prompt 'What is due on {date}?'",
        "turnwright triggers set party --at 2026-12-24T18:00 --tz Europe/Vienna --prompt-file party.txt",
        "turnwright triggers set standup --misfire all --catch-up 8h",
    ),
)
@trigger_argument
@click.option("--cron", help="When: minute, hour, day, month, weekday; or @daily and the like.")
@click.option("--at", help="When, once: a time such as 2026-12-24T18:00, of --tz.")
@click.option("--tz", help="The time zone, like Europe/Berlin.  [default: UTC]")
@click.option(
    "--prompt", help="What the agent is told; {date}, {weekday}, {time} and the like are filled in."
)
@click.option(
    "--prompt-file", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="A file with it."
)
@click.option("--agent", help="Who is told.  [default: default]")
@click.option(
    "--session", type=click.Choice(["each", "one"]), help="A session for each due time, or one for all."
)
@click.option(
    "--answer-in", help="slack:<channel id> or github:<owner>/<repository>#<number>; empty: nowhere else."
)
@click.option("--misfire", type=click.Choice(["skip", "latest", "all"]), help="What becomes of missed ones.")
@click.option("--catch-up", help="How far back missed ones are done, like 4h.")
@click.option(
    "--overlap", type=click.Choice(["skip", "queue", "allow"]), help="While the one before is unanswered."
)
@as_json_option
def define(
    trigger: str, *, prompt_file: Path | None, catch_up: str | None, as_json: bool, **given: str | None
) -> None:
    """Define TRIGGER, or change what is given of it."""
    if prompt_file is not None and given["prompt"] is not None:
        raise click.UsageError("--prompt and --prompt-file exclude each other.")
    changes: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    if prompt_file is not None:
        changes["prompt"] = _text_of(prompt_file)
    if catch_up is not None:
        changes["catch_up_s"] = _span_ms("--catch-up", catch_up) // 1000
    if changes.get("at") and not changes.get("cron"):
        changes["cron"] = None
    elif changes.get("cron") and not changes.get("at"):
        changes["at"] = None
    _change(trigger, changes, as_json=as_json, may_be_new=True)


@triggers.command(epilog=examples("turnwright triggers pause standup"))
@trigger_argument
@as_json_option
def pause(trigger: str, *, as_json: bool) -> None:
    """Let TRIGGER wait: what is due meanwhile is skipped, and said to be."""
    _change(trigger, {"paused": True}, as_json=as_json)


@triggers.command(epilog=examples("turnwright triggers resume standup"))
@trigger_argument
@as_json_option
def resume(trigger: str, *, as_json: bool) -> None:
    """Let TRIGGER, which was paused, go on."""
    _change(trigger, {"paused": False}, as_json=as_json)


@triggers.command(epilog=examples("turnwright triggers remove standup"))
@trigger_argument
@as_json_option
def remove(trigger: str, *, as_json: bool) -> None:
    """Remove TRIGGER. What became of its ticks can still be explained."""
    _, raw = find_server().delete(_path(trigger), TriggerView)
    output.as_json(raw) if as_json else output.say("removed")


@triggers.command(epilog=examples("turnwright triggers fire standup"))
@trigger_argument
@as_json_option
def fire(trigger: str, *, as_json: bool) -> None:
    """Do TRIGGER now, whatever the time."""
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    fired, raw = find_server().send(_path(trigger, "fire"), Fired, {}, headers)
    output.as_json(raw) if as_json else output.say(
        f"{fired.tick}; see: turnwright triggers explain {trigger}"
    )


@triggers.command()
@trigger_argument
@click.option(
    "--since", default="1d", show_default=True, help="How far back, like 30m, 4h or 2d; 7d at most."
)
@as_json_option
def explain(trigger: str, *, since: str, as_json: bool) -> None:
    """Say of each due time of TRIGGER what became of it, and why; with --json one tick a line."""
    server = find_server()
    back = min(_span_ms("--since", since), _DAYS_KEPT * _UNITS["d"])
    start = int(time.time() * 1000) - back
    ticks = list(_ticks(server, trigger, start))[::-1]
    if as_json:
        for each in ticks:
            output.as_json(msgspec.json.encode(each))
        return
    found, _ = server.read(_path(trigger), TriggerView)
    zone = zone_of_trigger(found)
    output.table(
        ("due", "state", "recorded", "claimed", "dispatched", ""),
        [tick_row(each, zone) for each in ticks],
        none="nothing was due in that time",
    )
    if found.status == "parked":
        output.note(f"the trigger is parked: {found.reason}")
    elif found.next is not None:
        output.note(f"next at {local(found.next, zone)}")


@triggers.command(epilog=examples("turnwright triggers preview '30 2 * * *' --tz Europe/Berlin --count 5"))
@click.argument("expression")
@click.option("--tz", default="UTC", show_default=True, help="The time zone, like Europe/Berlin.")
@click.option("--count", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many times.")
@as_json_option
def preview(expression: str, *, tz: str, count: int, as_json: bool) -> None:
    """Say when EXPRESSION, like '0 9 * * 1-5', is due next."""
    query: dict[str, str | int] = {"expr": expression, "tz": tz, "count": count}
    found, raw = find_server().read("/api/schedule/preview", Preview, query)
    if as_json:
        output.as_json(raw)
        return
    for each in found.local:
        output.say(f"{datetime.fromisoformat(each):%a %Y-%m-%d %H:%M %z}")


def _change(trigger: str, changes: dict[str, object], *, as_json: bool, may_be_new: bool = False) -> None:
    server = find_server()
    body: dict[str, object] = {}
    try:
        found, _ = server.read(_path(trigger), TriggerView)
        body = msgspec.structs.asdict(found.definition) if found.definition else {}
        if not body and not may_be_new:
            raise Absent(f"trigger {trigger} was removed")
    except Absent:
        if not may_be_new:
            raise
    body |= changes
    if "prompt" not in body:
        raise Misused("a new trigger needs --prompt or --prompt-file, and --cron or --at")
    done, raw = server.put(_path(trigger), Defined, body)
    if as_json:
        output.as_json(raw)
        return
    if not done.changed:
        output.note("it was so already")
    show_trigger(done.trigger)


def _ticks(server: Server, trigger: str, since: int) -> Iterator[TickView]:
    cursor: str | None = ""
    while cursor is not None:
        query: dict[str, str | int] = {"since": since, "limit": _PAGE} | (
            {"cursor": cursor} if cursor else {}
        )
        page, _ = server.read(_path(trigger, "ticks"), TickPage, query)
        yield from page.ticks
        cursor = page.cursor


def _path(trigger: str, *parts: str) -> str:
    if not _id.fullmatch(trigger):
        raise Misused("trigger: letters, digits, `.`, `_` and `-`, at most 64, a letter or digit first")
    return "/".join(("/api/triggers", trigger, *parts))


def _span_ms(option: str, text: str) -> int:
    found = _span.fullmatch(text)
    if found is None or not int(found[1]):
        raise Misused(f"{option}: must be like 30m, 4h or 2d")
    return int(found[1]) * _UNITS[found[2]]


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError):
        raise Misused(f"--prompt-file: {file} can not be read as text") from None
