"""The commands that talk to a server: what they print, and how they end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from services.processors.contract import Contract, Decision, Moment, Processor
from services.streams.event import Event, StreamId
from tests.scenarios.cli_calls import Shell
from tests.scenarios.http_stage import TOKEN, Stage, opened_stage, wait_until

X = StreamId("app:x")


class Nothing(msgspec.Struct, frozen=True):
    """The state of a processor that keeps nothing."""


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage() as opened:
        yield opened


@pytest.fixture
def shell(stage: Stage, tmp_path: Path) -> Iterator[Shell]:
    with stage.served() as url:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "server.json").write_text(json.dumps({"url": url}))
        (tmp_path / "token").write_text(f"{TOKEN}\n")
        yield Shell(home=tmp_path, variables={})


def _answer_soon(stage: Stage, session: StreamId, text: str) -> threading.Thread:
    def answer() -> None:
        wait_until(lambda: stage.log.head(session) > 0)
        stage.answer(session, text)

    thread = threading.Thread(target=answer)
    thread.start()
    return thread


def test_ask_prints_the_answer(stage: Stage, shell: Shell) -> None:
    answering = _answer_soon(stage, X, "hi there")

    asked = shell.run("ask", "hello", "--session", X)

    answering.join()
    assert (asked.status, asked.out, asked.err) == (0, "hi there\n", "")


def test_ask_survives_a_server_that_goes_away_and_comes_back(stage: Stage, tmp_path: Path) -> None:
    with stage.served() as url:
        variables = {"TURNWRIGHT_URL": url, "TURNWRIGHT_API_TOKEN": TOKEN}
        process = Shell(home=tmp_path, variables=variables).start("ask", "hello", "--session", X)
        wait_until(lambda: stage.live() == 1)
    stage.answer(X, "hi there")

    with stage.served(port=int(url.rpartition(":")[2])):
        out, err = process.communicate(timeout=20)

    assert (process.returncode, out, err) == (0, "hi there\n", "")


def test_ask_as_json_tells_everything_of_the_turn(stage: Stage, shell: Shell) -> None:
    answering = _answer_soon(stage, X, "hi there")

    asked = shell.run("ask", "hello", "--session", X, "--json")

    answering.join()
    told = json.loads(asked.out)
    assert (told["session"], told["offset"], told["outcome"], told["text"]) == (X, 2, "answered", "hi there")


def test_ask_without_waiting_says_where_the_prompt_is(stage: Stage, shell: Shell) -> None:
    asked = shell.run("ask", "hello", "--no-wait")
    as_json = shell.run("ask", "hello", "--no-wait", "--json")

    session, offset = asked.out.split()
    assert (asked.status, offset) == (0, "2")
    assert stage.types(session) == ["stream.created", "input.received"]
    assert json.loads(as_json.out)["duplicate"] is False


def test_ask_says_why_an_answer_can_not_be_delivered(shell: Shell) -> None:
    asked = shell.run("ask", "hello", "--session", X, "--deliver")

    assert asked.status == 2
    assert "the session began in no thread" in asked.err


def test_ask_ends_with_failure_when_the_turn_did_not_answer(stage: Stage, shell: Shell) -> None:
    def cancel() -> None:
        wait_until(lambda: stage.log.head(X) > 0)
        stage.advance(X)
        stage.call("POST", f"/api/sessions/{X}/cancel")
        stage.advance(X)

    thread = threading.Thread(target=cancel)
    thread.start()
    asked = shell.run("ask", "hello", "--session", X)
    thread.join()

    assert (asked.status, asked.out) == (1, "")
    assert asked.err.startswith("Error: the turn ended cancelled")


def test_a_turn_that_failed_names_the_run_that_tells_why(stage: Stage, shell: Shell) -> None:
    def fail() -> None:
        wait_until(lambda: stage.log.head(X) > 0)
        stage.fail(X, "not_sent")

    thread = threading.Thread(target=fail)
    thread.start()
    asked = shell.run("ask", "hello", "--session", X)
    thread.join()

    assert (asked.status, asked.out) == (1, "")
    assert asked.err == f"Error: the turn ended failed (not_sent); see: turnwright runs {X}@1\n"


def test_ask_ends_when_its_prompt_is_withdrawn(stage: Stage, shell: Shell) -> None:
    def withdraw() -> None:
        wait_until(lambda: stage.log.head(X) > 0)
        stage.call("DELETE", f"/api/sessions/{X}/inputs/2")

    thread = threading.Thread(target=withdraw)
    thread.start()
    asked = shell.run("ask", "hello", "--session", X)
    thread.join()

    assert (asked.status, "withdrawn" in asked.err) == (1, True)


def test_sessions_lists_what_there_is(stage: Stage, shell: Shell) -> None:
    stage.prompt("hello", session=X)

    listed = shell.run("sessions")
    as_json = shell.run("sessions", "--json", "--status", "waiting")

    assert listed.status == 0
    assert [line.split()[:2] for line in listed.out.splitlines()] == [["session", "status"], [X, "waiting"]]
    assert [each["session"] for each in json.loads(as_json.out)["sessions"]] == [X]


def test_sessions_says_when_there_are_more_than_it_shows(stage: Stage, shell: Shell) -> None:
    stage.prompt("hello", session=X)
    stage.prompt("hello", session=f"{X}2")

    assert "there is more" in shell.run("sessions", "--limit", "1").err
    assert shell.run("sessions").err == ""


def test_events_prints_one_event_a_line(stage: Stage, shell: Shell) -> None:
    stage.prompt("hello \x1b[31mred", session=X)

    shown = shell.run("events", X)
    some = shell.run("events", X, "--json", "--type", "input.received")

    assert [line.split()[0] for line in shown.out.splitlines()] == ["1", "2"]
    assert "\x1b" not in shown.out
    assert [json.loads(line)["offset"] for line in some.out.splitlines()] == [2]


def test_events_follows_what_comes(stage: Stage, shell: Shell) -> None:
    stage.prompt("hello", session=X)
    process = shell.start("events", X, "--follow", "--json")
    assert process.stdout is not None
    seen = [json.loads(process.stdout.readline())["type"] for _ in range(2)]

    stage.answer(X, "hi")
    seen += [json.loads(process.stdout.readline())["type"] for _ in range(4)]
    process.terminate()
    process.communicate(timeout=10)

    assert seen == stage.types(X)


def test_why_says_what_a_session_waits_for(stage: Stage, shell: Shell) -> None:
    stage.prompt("hello", session=X)
    assert shell.run("why", X).out == "waiting: queued\n"

    stage.answer(X, "hi")
    assert shell.run("why", X).out == "idle\n"
    assert json.loads(shell.run("why", X, "--json").out)["wait"] is None

    stage.call("POST", f"/api/sessions/{X}/pause", json={"reason": "audit"})
    assert shell.run("why", X).out == "paused: audit\n"


def test_a_session_is_paused_resumed_and_cancelled(stage: Stage, shell: Shell) -> None:
    stage.prompt("hello", session=X)

    said = [
        shell.run(*command).out
        for command in (
            ("pause", X, "--reason", "audit"),
            ("pause", X),
            ("resume", X),
            ("resume", X),
            ("cancel", X, "--queued"),
        )
    ]
    types = stage.types(X)
    stage.advance(X)
    said.append(shell.run("cancel", X).out)

    assert said[:2] == ["paused\n", "it was paused already\n"]
    assert said[2:] == ["resumed\n", "it was not paused\n", "asked to stop\n", "nothing is running\n"]
    assert types[2:] == ["stream.paused", "stream.resumed", "turn.cancel_requested"]


def test_processors_are_shown_as_installed_and_as_they_stand_in_a_session(stage: Stage, shell: Shell) -> None:
    stage.prompt("hello", session=X)
    stage.advance(X)

    assert "agent" in shell.run("processors").out
    assert shell.run("processors", X).out.splitlines()[1].split() == ["agent", "v1", "up", "to", "date"]
    assert json.loads(shell.run("processors", X, "--json").out)["processors"][0]["name"] == "agent"


@pytest.mark.parametrize("command", ["events", "why", "cancel", "pause", "resume", "processors"])
def test_an_unknown_session_is_one_clear_line(shell: Shell, command: str) -> None:
    ended = shell.run(command, "app:none")

    assert (ended.status, ended.out) == (1, "")
    assert ended.err == "Error: session app:none does not exist\n"


def test_a_session_id_that_can_not_be_is_one_clear_line(shell: Shell) -> None:
    for session in ("a/b", "../../etc", "..", "a b", "%2e", "?x=1", "é", "", "x" * 201):
        ended = shell.run("why", session)
        assert ended.err == "Error: session: letters, digits and . _ : - , at most 200\n"
        assert ended.status == 2
    asked = shell.run("ask", "hello", "--session", "a b")
    assert (asked.status, asked.err) == (2, ended.err)


def test_a_session_that_only_others_can_make_is_not_made_by_asking(shell: Shell) -> None:
    asked = shell.run("ask", "hello", "--session", "tour")

    assert asked.status == 1
    assert asked.err == "Error: session tour does not exist; only app:<name> is made on first use\n"


def test_an_empty_list_is_said_to_be_empty(shell: Shell) -> None:
    for command, words in (
        (("sessions",), "no session"),
        (("outbox",), "no reply waits or failed"),
        (("outbox", "--state", "poisoned"), "no such reply"),
        (("inbound",), "no webhook was received"),
        (("inbound", "--source", "slak"), "no such delivery"),
    ):
        listed = shell.run(*command)
        assert (listed.status, listed.out, listed.err) == (0, "", f"{words}\n")


def test_a_refused_prompt_is_one_clear_line(stage: Stage, shell: Shell) -> None:
    stage.prompt("hello", session=X)
    stage.call("POST", f"/api/sessions/{X}/pause", json={"reason": "audit"})

    paused = shell.run("ask", "more", "--session", X)
    unknown = shell.run("ask", "more", "--agent", "nobody")

    assert (paused.status, "paused: audit" in paused.err) == (1, True)
    assert (unknown.status, "no agent 'nobody'" in unknown.err) == (2, True)


def test_what_the_server_finds_wrong_is_said_in_plain_words(shell: Shell) -> None:
    empty = shell.run("ask", " ")
    nameless = shell.run("ask", "hello", "--agent", "")
    endless = shell.run("ask", "hello", "--agent", "a" * 201)

    assert (empty.status, empty.err) == (2, "Error: text: must not be empty\n")
    assert (nameless.status, nameless.err) == (2, "Error: agent: must not be empty\n")
    assert (endless.status, endless.err) == (2, "Error: agent: must have at most 200 characters\n")


def test_a_processor_is_only_let_go_on_where_it_stopped(stage: Stage, shell: Shell) -> None:
    stage.prompt("hello", session=X)
    stage.advance(X)

    fine = shell.run("processors", X, "--resume", "agent")
    unknown = shell.run("processors", X, "--skip", "nobody")
    nameless = shell.run("processors", X, "--skip", "a/b")

    assert (fine.status, fine.err) == (1, "Error: the processor agent is not parked\n")
    assert unknown.err == f"Error: processor nobody of session {X} does not exist\n"
    assert (nameless.status, len(nameless.err.splitlines())) == (2, 1)


def test_a_session_whose_processor_stopped_says_how_it_goes_on(tmp_path: Path) -> None:
    class Timid(Processor[Nothing]):
        """Stumbles over every input."""

        contract = Contract(
            name="timid", version=1, consumes=frozenset({"input.received"}), emits=frozenset()
        )
        state = Nothing

        def reduce(self, state: Nothing, event: Event) -> Nothing:
            raise ValueError

        def react(self, state: Nothing, event: Event, moment: Moment) -> Sequence[Decision]:
            return ()

    with opened_stage(plugins=(Timid(),)) as stage, stage.served() as url:
        shell = Shell(home=tmp_path, variables={"TURNWRIGHT_URL": url, "TURNWRIGHT_API_TOKEN": TOKEN})
        stage.prompt("hello", session=X)
        stage.advance(X)
        stage.call("POST", f"/api/sessions/{X}/processors/timid/attach")
        stage.prompt("more", session=X)
        stage.advance(X)

        resumed = shell.run("resume", X)
        again = shell.run("processors", X, "--resume", "timid")
        events = stage.types(X)

    assert (resumed.status, resumed.out) == (1, "")
    assert resumed.err.startswith("Error: the session is not paused but faulted")
    assert (again.status, again.out) == (0, "resumed\n")
    assert events[-1] == "processor.resumed"


def test_a_reader_who_has_seen_enough_is_no_failure(stage: Stage, shell: Shell) -> None:
    stage.prompt("hello", session=X)
    process = shell.start("events", X, "--follow")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()

    stage.answer(X, "hi")

    assert process.stderr is not None
    assert (process.wait(timeout=20), process.stderr.read()) == (0, "")


def test_an_unknown_token_is_one_clear_line_that_says_where_it_is_from(shell: Shell) -> None:
    wrong = Shell(home=shell.home, variables={"TURNWRIGHT_API_TOKEN": "wrong"})
    ended = wrong.run("sessions")
    assert (ended.status, len(ended.err.splitlines())) == (1, 1)
    assert "does not know the token of TURNWRIGHT_API_TOKEN" in ended.err

    (shell.home / "token").write_text("stale\n")
    assert f"does not know the token of {shell.home / 'token'}" in shell.run("sessions").err


def test_a_server_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    nowhere = Shell(home=tmp_path, variables={})
    gone = Shell(
        home=tmp_path, variables={"TURNWRIGHT_URL": "http://127.0.0.1:1", "TURNWRIGHT_API_TOKEN": "t"}
    )
    tokenless = Shell(home=tmp_path, variables={"TURNWRIGHT_URL": "http://127.0.0.1:1"})

    for shell, words in (
        (nowhere, "or set TURNWRIGHT_HOME to the data directory of one that runs"),
        (gone, "no server answers"),
        (tokenless, "no token"),
    ):
        ended = shell.run("sessions")
        assert (ended.status, ended.out, len(ended.err.splitlines())) == (1, "", 1)
        assert words in ended.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("ask",),
        ("ask", "x", "--policy", "later"),
        ("events", "app:x", "--limit", "0"),
        ("why",),
        ("nothing",),
        ("sessions", "x"),
        ("processors", "--resume", "agent"),
        ("processors", "app:x", "--resume", "agent", "--skip", "agent"),
        ("worker", "--name", ""),
    ],
)
def test_wrong_usage_ends_with_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert Shell(home=tmp_path, variables={}).run(*arguments).status == 2


def test_a_wrong_environment_ends_with_2(tmp_path: Path) -> None:
    ended = Shell(home=tmp_path, variables={"TURNWRIGHT_PROT": "1"}).run("sessions")

    assert (ended.status, "TURNWRIGHT_PORT" in ended.err) == (2, True)
