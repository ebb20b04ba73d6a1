"""The commands that talk to a running Turnwright over its HTTP API."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

import click
import msgspec

from deploy.cli import output
from deploy.cli.asking import Answer, Withdrawn
from deploy.cli.examples import examples
from deploy.cli.live import follow
from deploy.cli.server import Absent, Failed, Misused, Query, Server, check_session, find_server, session_path
from deploy.cli.tick_waits import ticks_for
from deploy.cli.trigger_words import words_of
from services.diagnosis.wording import why_text
from services.sessions.trigger_values import TickPage, TickView
from services.sessions.values import (
    Accepted,
    Answered,
    Commanded,
    EventPage,
    EventView,
    SessionPage,
    Why,
)
from services.streams.vocabulary import TurnSettled

_PAGE = 500

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
session_argument = click.argument("session")


@click.command(
    # What is too much is told by `ask` itself: it is nearly always a text without quotes.
    context_settings={"allow_extra_args": True},
    epilog=examples(
        'turnwright ask "What time is it?"',
        'turnwright ask --session app:tour "Say it again"',
        'turnwright ask --agent clerk --json "Hello"',
    ),
)
@click.argument("text")
@click.option(
    "--session",
    metavar="SESSION",
    help="Go on in this session; app:<name> is made on first use.  [default: a new one]",
)
@click.option(
    "--agent", metavar="NAME", help="Which agent answers; fixed when a session is made.  [default: default]"
)
@click.option(
    "--policy",
    type=click.Choice(["follow_up", "steer", "collect", "silent"]),
    help="What becomes of TEXT while a turn runs; otherwise the agent's.",
)
@click.option("--deliver", is_flag=True, help="Say the answer in the thread of SESSION, too.")
@click.option("--no-wait", is_flag=True, help="Return as soon as the prompt is stored.")
@as_json_option
def ask(
    text: str,
    *,
    session: str | None,
    agent: str | None,
    policy: str | None,
    deliver: bool,
    no_wait: bool,
    as_json: bool,
) -> None:
    """Ask TEXT, one argument in quotes, and wait for the answer, which is shown while it is written."""
    if click.get_current_context().args:
        raise click.UsageError('TEXT is one argument: put it in quotes, turnwright ask "What time is it?"')
    if not text.strip():
        raise Misused("text: must not be empty")
    if session is not None:
        check_session(session)
    server = find_server()
    given = {"text": text, "session": session, "agent": agent, "policy": policy, "deliver": deliver or None}
    body = {name: value for name, value in given.items() if value is not None}
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    try:
        accepted, raw = server.send("/api/prompts", Accepted, body, headers)
    except Absent as error:
        raise Failed(f"{error.message}; only app:<name> is made on first use") from None
    if no_wait or policy == "silent":
        output.as_json(raw) if as_json else output.say(f"{accepted.session} {accepted.offset}")
        return
    is_live = not as_json and output.is_terminal()
    answer = Answer(accepted.offset, output.write if is_live else None)
    settled = _await(server, accepted, answer)
    if as_json:
        output.as_json(msgspec.json.encode(_answered(accepted, settled)))
    elif not output.is_terminal() and settled.text:
        output.say(settled.text)
    if settled.outcome != "answered":
        reason = f" ({settled.reason})" if settled.reason else ""
        # What a model answered is told by its run; a turn may end otherwise without one.
        has_run = settled.outcome == "failed" and answer.run
        where = f"runs {answer.run}" if has_run else f"events {accepted.session}"
        raise Failed(f"the turn ended {settled.outcome}{reason}; see: turnwright {where}")


@click.command(
    epilog=examples("turnwright sessions", "turnwright sessions --status waiting --limit 5 --json")
)
@click.option(
    "--status",
    type=click.Choice(["idle", "running", "waiting", "paused", "faulted"]),
    help="Only sessions in this state.",
)
@click.option(
    "--source", metavar="NAME", help="Only sessions of this origin: prompt, app, slack, github, in, …"
)
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many at most.")
@as_json_option
def sessions(*, status: str | None, source: str | None, limit: int, as_json: bool) -> None:
    """List sessions, newest activity first."""
    query: dict[str, str | int] = {"limit": limit}
    query |= {"status": status} if status else {}
    query |= {"source": source} if source else {}
    page, raw = find_server().read("/api/sessions", SessionPage, query)
    if as_json:
        output.as_json(raw)
        return
    rows = [(each.session, each.status, output.clock(each.updated_at)) for each in page.sessions]
    output.table(("session", "status", "last activity"), rows, none="no session")
    if page.cursor is not None:
        output.note("there is more: see --status, --source and --limit")


@click.command(
    epilog=examples(
        "turnwright events app:tour",
        "turnwright events app:tour --follow --json",
        "turnwright events app:tour --after 0 --type turn.settled",
    )
)
@session_argument
@click.option(
    "--after",
    type=click.IntRange(0),
    help="Start after this offset; 0 for the first event.  [default: LIMIT before the last]",
)
@click.option(
    "--limit", type=click.IntRange(1, _PAGE), default=100, show_default=True, help="How many at most."
)
@click.option(
    "--type",
    "types",
    metavar="TYPE",
    multiple=True,
    help="Only events of this type, like turn.settled; repeatable.",
)
@click.option("--follow", "is_followed", is_flag=True, help="Go on with what comes, until interrupted.")
@as_json_option
def events(
    session: str, *, after: int | None, limit: int, types: tuple[str, ...], is_followed: bool, as_json: bool
) -> None:
    """Show the events of SESSION, oldest first; with --json one event a line."""
    server = find_server()
    if after is None:
        newest, _ = server.read(session_path(session, "events"), EventPage, {"limit": 1})
        after = max(0, newest.head - limit)
    query: Query = {"after": after, "limit": limit, **({"type": ",".join(types)} if types else {})}
    page, _ = server.read(session_path(session, "events"), EventPage, query)
    for event in page.events:
        _show_event(event, as_json=as_json)
    if not is_followed:
        return
    for news in follow(server, session, after=page.next):
        if isinstance(news, EventView) and (not types or news.type in types):
            _show_event(news, as_json=as_json)


@click.command(epilog=examples("turnwright why app:tour"))
@session_argument
@as_json_option
def why(session: str, *, as_json: bool) -> None:
    """Say in one sentence what SESSION waits for, or that it is idle, and what keeps its replies and ticks."""
    server = find_server()
    try:
        told, raw = server.read(session_path(session, "why"), Why)
    except Absent:
        # The session of a trigger begins with the tick that is to come to it.
        if not (ticks := ticks_for(server, session)):
            raise
        _say_ticks(ticks, as_json=as_json)
        return
    if as_json:
        output.as_json(raw)
        return
    output.say(_why_text(told))
    for each in told.replies:
        output.say(why_text("reply", each, clock=output.clock))
    _say_ticks(ticks_for(server, session))


def _say_ticks(ticks: Sequence[TickView], *, as_json: bool = False) -> None:
    if as_json:
        output.as_json(msgspec.json.encode(TickPage(ticks=tuple(ticks), cursor=None)))
        return
    for each in ticks:
        output.say(": ".join(filter(None, (f"tick {each.tick}", each.state, words_of(each, None)))))


@click.command(epilog=examples("turnwright cancel app:tour", "turnwright cancel app:tour --queued"))
@session_argument
@click.option("--queued", is_flag=True, help="Cancel what waits behind the running turn too.")
@as_json_option
def cancel(session: str, *, queued: bool, as_json: bool) -> None:
    """Cancel the running turn of SESSION."""
    path, body = session_path(session, "cancel"), {"queued": queued}
    command(path, body, done="asked to stop", undone="nothing is running", as_json=as_json)


@click.command(epilog=examples('turnwright pause app:tour --reason "under review"'))
@session_argument
@click.option(
    "--reason", metavar="TEXT", default="operator", show_default=True, help="What `why` tells of it."
)
@as_json_option
def pause(session: str, *, reason: str, as_json: bool) -> None:
    """Let SESSION take no inputs and start no jobs until it is resumed."""
    path, body = session_path(session, "pause"), {"reason": reason}
    command(path, body, done="paused", undone="it was paused already", as_json=as_json)


@click.command(epilog=examples("turnwright resume app:tour"))
@session_argument
@as_json_option
def resume(session: str, *, as_json: bool) -> None:
    """Let SESSION, which was paused, go on; one that reached a cap gets a new hour."""
    server = find_server()
    commanded, raw = server.send(session_path(session, "resume"), Commanded, {})
    if not commanded.changed and not as_json:
        told, _ = server.read(session_path(session, "why"), Why)
        if told.status == "faulted":
            parked = told.wait.text if told.wait is not None else f"see: turnwright processors {session}"
            raise Failed(f"the session is not paused but faulted: {parked}")
    _show_commanded(commanded, raw, done="resumed", undone="it was not paused", as_json=as_json)


def command(path: str, body: Mapping[str, object], *, done: str, undone: str, as_json: bool) -> None:
    """POST `body` to `path` and say what it changed, or nothing. Raises: Failed."""
    commanded, raw = find_server().send(path, Commanded, body)
    _show_commanded(commanded, raw, done=done, undone=undone, as_json=as_json)


def _await(server: Server, accepted: Accepted, answer: Answer) -> TurnSettled:
    said: list[str] = []

    def tell_why() -> None:
        told, _ = server.read(session_path(accepted.session, "why"), Why)
        if told.wait is not None and _why_text(told) not in said[-1:]:
            said.append(_why_text(told))
            output.note(said[-1])

    try:
        news = follow(server, accepted.session, after=accepted.offset)
        return answer.wait(news, tell_why)
    except Withdrawn:
        raise Failed("the prompt was withdrawn before it was answered") from None


def _answered(accepted: Accepted, settled: TurnSettled) -> Answered:
    return Answered(
        session=accepted.session,
        offset=accepted.offset,
        duplicate=accepted.duplicate,
        outcome=settled.outcome,
        text=settled.text,
        reason=settled.reason,
        usage=settled.usage,
    )


def _show_commanded(commanded: Commanded, raw: bytes, *, done: str, undone: str, as_json: bool) -> None:
    if as_json:
        output.as_json(raw)
    else:
        output.say(done if commanded.changed else undone)


def _show_event(event: EventView, *, as_json: bool) -> None:
    if as_json:
        output.as_json(msgspec.json.encode(event))
    else:
        payload = bytes(event.payload).decode()
        output.say(f"{event.offset:>6}  {output.clock(event.created_at)}  {event.type:<22}  {payload}")


def _why_text(told: Why) -> str:
    return why_text(told.status, told.wait, clock=output.clock)
