"""`turnwright runs`: the runs of a session, or everything about one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

import click

from deploy.cli import output
from deploy.cli.examples import examples
from deploy.cli.server import Misused, check_session, find_server, session_path
from services.sessions.run_record import RunAttempt, RunDetail, RunPage
from services.streams.vocabulary import Usage

_number = re.compile("[1-9][0-9]{0,8}")


@click.command(epilog=examples("turnwright runs app:tour", "turnwright runs app:tour@1 --json"))
@click.argument("which", metavar="SESSION|RUN")
@click.option(
    "--cursor", type=click.IntRange(1), help="Go on after an earlier page, with the number it ended with."
)
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def runs(which: str, *, cursor: int | None, limit: int, as_json: bool) -> None:
    """List the runs of SESSION, newest first, or show one RUN (<session>@<number>)."""
    if "@" in which:
        _show(which, as_json=as_json)
        return
    query = {"limit": limit} | ({"cursor": cursor} if cursor else {})
    page, raw = find_server().read(session_path(which, "runs"), RunPage, query)
    if as_json:
        output.as_json(raw)
        return
    rows = [
        (each.run, each.state, str(each.attempts), ", ".join(each.models), _used(each.usage))
        for each in page.runs
    ]
    output.table(("run", "state", "attempts", "models", "used"), rows, none="no run yet")
    if page.cursor is not None:
        output.note(f"more: --cursor {page.cursor}")


def _show(run: str, *, as_json: bool) -> None:
    session, _, number = run.partition("@")
    check_session(session)
    if not _number.fullmatch(number):
        raise Misused("run: a session, @ and its number, as in app:tour@1")
    found, raw = find_server().read(f"/api/runs/{quote(run, safe='')}", RunDetail)
    if as_json:
        output.as_json(raw)
        return
    for name, value in _facts(found):
        output.say(f"{name:<13}{value}")
    for each in found.attempts:
        output.say(f"{f'attempt {each.n}':<13}{_attempt(each)}")
    for tool in found.tools:
        took = "" if tool.ms is None else f", {tool.ms} ms"
        output.say(
            f"{'tool':<13}{tool.name} ({tool.effect or 'not started'}): {tool.outcome or 'open'}{took}"
        )
    for late in found.late:
        output.say(f"{'too late':<13}{late.job} attempt {late.attempt}: {late.outcome}, {_used(late.usage)}")


def _facts(run: RunDetail) -> Iterator[tuple[str, str]]:
    phases = run.phases
    yield "run", run.run
    yield "state", f"{run.state} ({run.error})" if run.error else run.state
    yield "turn", f"{run.turn}, step {run.step}, agent {run.agent}"
    yield "requested", output.clock(run.requested_at)
    yield "models", ", ".join(run.models) or "none yet"
    yield (
        "time",
        f"queued {phases.queued} ms, running {phases.running} ms, backing off {phases.backing_off} ms",
    )
    if phases.first_token is not None:
        yield "first token", f"after {phases.first_token} ms"
    yield "used", _used(run.usage)
    if run.trace_id:
        yield "trace", run.trace_id


def _attempt(attempt: RunAttempt) -> str:
    error = ": ".join(part for part in (attempt.error, attempt.code) if part)
    parts = [
        f"{attempt.model or '-'}: {attempt.outcome}{f' ({error})' if error else ''}",
        attempt.phase,
        f"{attempt.spent_ms} ms" if attempt.phase else "",
        "with half of the history" if attempt.halved else "",
        _used(attempt.usage) if attempt.usage != Usage() else "",
        "free" if attempt.free else "",
    ]
    return ", ".join(part for part in parts if part)


def _used(usage: Usage) -> str:
    cost = "" if usage.cost_microusd is None else f", ${usage.cost_microusd / 1_000_000:.6f}"
    return f"{usage.input} + {usage.output} tokens{cost}"
