"""`turnwright triggers`: what each command prints, how it ends, and what it says to wrong input."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.streams.schedule_events import Definition
from tests.fakes.clockwork import HOUR, MINUTE, Clockwork
from tests.scenarios.cli_calls import Here, Shell
from tests.scenarios.http_stage import TOKEN, Stage, opened_stage, store_url

SET = ("triggers", "set", "nightly", "--cron", "0 * * * *", "--prompt", "go")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage() as opened:
        yield opened


@pytest.fixture
def clock(stage: Stage) -> Iterator[Clockwork]:
    """The worker behind it: ten minutes past the hour of this machine's clock, which the command line goes by."""
    made = Clockwork(store_url(), stage.log.keys)
    hour = round(datetime.now(UTC).timestamp() * 1000) // HOUR * HOUR
    made.pass_time(hour + 10 * MINUTE - made.now)
    yield made
    made.close()


@pytest.fixture
def variables(stage: Stage) -> Iterator[dict[str, str]]:
    with stage.served() as url:
        yield {"TURNWRIGHT_URL": url, "TURNWRIGHT_API_TOKEN": TOKEN}


@pytest.fixture
def shell(
    variables: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Here:
    return Here(tmp_path, monkeypatch, capsys, variables)


def test_a_trigger_is_set_shown_and_listed(variables: dict[str, str], tmp_path: Path) -> None:
    shell = Shell(home=tmp_path, variables=variables)

    made = shell.run(*SET, "--tz", "Asia/Kathmandu", "--catch-up", "8h", "--misfire", "all")
    shown = shell.run("triggers", "show", "nightly")
    listed = shell.run("triggers", "list")

    assert made.status == shown.status == listed.status == 0
    assert made.out == shown.out
    lines = shown.out.splitlines()
    assert lines[0] == "nightly: active"
    assert re.fullmatch(r"next: \d{4}-\d\d-\d\d \d\d:00 \+0545", lines[1])
    assert {"cron: 0 * * * *", "tz: Asia/Kathmandu", "catch_up_s: 28800", "misfire: all"} <= set(lines)
    head, row = listed.out.splitlines()
    assert head.split() == ["trigger", "status", "when", "zone", "next", "open"]
    assert row.split()[:2] == ["nightly", "active"]
    assert "Asia/Kathmandu" in row


def test_set_changes_only_what_is_given(shell: Here) -> None:
    shell.run(*SET, "--overlap", "skip")

    changed = shell.run("triggers", "set", "nightly", "--prompt", "now this")
    same = shell.run("triggers", "set", "nightly", "--prompt", "now this")

    assert {"overlap: skip", "cron: 0 * * * *", "prompt: now this"} <= set(changed.out.splitlines())
    assert (same.status, same.err) == (0, "it was so already\n")


def test_a_single_time_takes_the_place_of_an_expression(shell: Here) -> None:
    shell.run(*SET)

    once = shell.run("triggers", "set", "nightly", "--at", "2031-07-01T18:00", "--tz", "Europe/Berlin")
    again = shell.run("triggers", "set", "nightly", "--cron", "@daily")

    assert "at: 2031-07-01 18:00 +0200" in once.out.splitlines()
    assert not any(line.startswith("cron") for line in once.out.splitlines())
    assert "cron: @daily" in again.out.splitlines()


def test_a_prompt_can_be_read_from_a_file(shell: Here, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text("one\ntwo {date}\n", encoding="utf-8")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe")

    done = shell.run("triggers", "set", "n", "--cron", "@daily", "--prompt-file", "p.txt", "--json")
    broken = shell.run("triggers", "set", "n", "--cron", "@daily", "--prompt-file", "b.txt")

    assert json.loads(done.out)["trigger"]["definition"]["prompt"] == "one\ntwo {date}"
    assert (broken.status, "can not be read" in broken.err) == (2, True)


def test_what_is_paused_goes_on_when_it_is_resumed(shell: Here) -> None:
    shell.run(*SET)

    assert shell.run("triggers", "pause", "nightly").out.startswith("nightly: paused")
    assert shell.run("triggers", "resume", "nightly").out.startswith("nightly: active")


def test_what_is_removed_can_not_be_paused_or_fired_and_is_not_listed(shell: Here) -> None:
    shell.run(*SET)
    removed = shell.run("triggers", "remove", "nightly")

    assert (removed.status, removed.out) == (0, "removed\n")
    for command in ("pause", "resume", "fire", "remove"):
        failed = shell.run("triggers", command, "nightly")
        assert failed.status == 1
        assert "nightly" in failed.err
    assert shell.run("triggers", "show", "nightly").out == "nightly: removed\n"
    assert shell.run("triggers", "list").err == "no triggers\n"


def test_what_is_fired_is_explained(stage: Stage, clock: Clockwork, shell: Here) -> None:
    shell.run(*SET)
    fired = shell.run("triggers", "fire", "nightly")
    before = shell.run("triggers", "explain", "nightly")
    clock.work()
    tick = fired.out.split(";")[0]
    clock.settle(f"trigger:nightly:{tick}")

    after = shell.run("triggers", "explain", "nightly")

    assert "no worker has looked at it yet" in before.out
    head, row = after.out.splitlines()
    assert head.split() == ["due", "state", "recorded", "claimed", "dispatched"]
    clocks = r"(\d\d:\d\d:\d\d\.\d{3} +){3}"
    assert re.fullmatch(
        rf"\d{{4}}-\d\d-\d\d \d\d:\d\d \+0000 +dispatched +{clocks}trigger:nightly:{tick}@2: answered", row
    )
    assert re.fullmatch(r"next at \d{4}-\d\d-\d\d \d\d:00 \+0000\n", after.err)


def test_explain_says_of_each_due_time_what_became_of_it_the_oldest_first(
    clock: Clockwork, shell: Here
) -> None:
    clock.pass_time(-5 * HOUR)
    shell.run(*SET, "--overlap", "skip", "--misfire", "latest")
    clock.pass_time(3 * HOUR)
    clock.work()
    clock.pass_time(HOUR)
    clock.work()
    clock.pass_time(HOUR)

    done = shell.run("triggers", "explain", "nightly", "--since", "1d")
    as_json = [
        json.loads(line)
        for line in shell.run("triggers", "explain", "nightly", "--since", "1d", "--json").out.splitlines()
    ]

    rows = done.out.splitlines()[1:]
    states = [re.split(r"  +", row)[1] for row in rows]
    assert states == ["skipped", "skipped", "dispatched", "skipped", "due"] == [e["state"] for e in as_json]
    assert rows[0].endswith("missed while nothing ran; its misfire policy passes it over")
    assert rows[2].endswith(", not answered yet")
    assert rows[3].endswith("the one before it was not answered yet")
    assert rows[4].endswith("no worker has looked at it yet")
    assert [each["due"] for each in as_json] == sorted(each["due"] for each in as_json)


def test_explain_goes_back_as_far_as_it_is_asked_to(clock: Clockwork, shell: Here) -> None:
    clock.pass_time(-30 * HOUR)
    shell.run(*SET, "--overlap", "allow", "--misfire", "all", "--catch-up", "3d")
    clock.pass_time(30 * HOUR)
    clock.work()

    counts = [
        len(shell.run("triggers", "explain", "nightly", "--since", since).out.splitlines()) - 1
        for since in ("3h", "1d", "2d", "60d")
    ]

    assert counts == [3, 24, 30, 30]


def test_explain_says_that_nothing_was_due(shell: Here) -> None:
    shell.run("triggers", "set", "yearly", "--cron", "0 0 29 2 *", "--prompt", "x")

    done = shell.run("triggers", "explain", "yearly")

    assert (done.status, done.out) == (0, "")
    assert done.err.startswith("nothing was due in that time\n")


def test_a_preview_shows_the_days_that_clocks_are_set(shell: Here) -> None:
    done = shell.run("triggers", "preview", "0 9 * * 1", "--tz", "Europe/Berlin", "--count", "60")
    as_json = shell.run("triggers", "preview", "@daily", "--count", "3", "--json")

    lines = done.out.splitlines()
    assert len(lines) == 60
    assert all(re.fullmatch(r"Mon \d{4}-\d\d-\d\d 09:00 \+0[12]00", line) for line in lines)
    assert {line[-5:] for line in lines} == {"+0100", "+0200"}
    assert len(json.loads(as_json.out)["times"]) == 3


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("show", "nobody"), 1, "nobody"),
        (("explain", "nobody"), 1, "nobody"),
        (("fire", "nobody"), 1, "nobody"),
        (("show", "a/b"), 2, "letters, digits"),
        (("show", ""), 2, "letters, digits"),
        (("show",), 2, "Missing argument"),
        (("set", "new"), 2, "--prompt"),
        (("set", "new", "--prompt", "x"), 2, "cron"),
        (("set", "new", "--prompt", "x", "--prompt-file", "nowhere"), 2, "prompt-file"),
        (("set", "new", "--cron", "* * *", "--prompt", "x"), 2, "five fields"),
        (("set", "new", "--cron", "0 0 30 2 *", "--prompt", "x"), 2, "day-of-month"),
        (("set", "new", "--cron", "@daily", "--prompt", "{x}"), 2, "{date}"),
        (("set", "new", "--cron", "@daily", "--prompt", "x", "--tz", "Mars/Base"), 2, "time zone"),
        (("set", "new", "--cron", "@daily", "--prompt", "x", "--catch-up", "soon"), 2, "4h"),
        (("set", "new", "--cron", "@daily", "--prompt", "x", "--catch-up", "9d"), 2, "catch_up_s"),
        (("set", "new", "--cron", "@daily", "--prompt", "x", "--overlap", "merge"), 2, "overlap"),
        (("set", "new", "--cron", "@daily", "--prompt", "x", "--agent", "nobody"), 2, "nobody"),
        (("set", "new", "--at", "2020-01-01T00:00", "--prompt", "x"), 2, "future"),
        (("set", "new", "--cron", "@daily", "--at", "2031-01-01T00:00", "--prompt", "x"), 2, "one of them"),
        (("explain", "nightly", "--since", "yesterday"), 2, "2d"),
        (("preview", "0 9 * *"), 2, "five fields"),
        (("preview", "@daily", "--tz", "Mars/Base"), 2, "time zone"),
        (("preview", "@daily", "--count", "0"), 2, "count"),
        (("dance",), 2, "dance"),
    ],
)
def test_wrong_input_is_told_in_one_line(
    shell: Here, arguments: tuple[str, ...], status: int, said: str
) -> None:
    done = shell.run("triggers", *arguments)

    assert (done.status, done.out) == (status, ""), done
    assert said in done.err, done.err


def test_a_declared_one_says_where_to_change_it(stage: Stage, shell: Here) -> None:
    declared = Definition(prompt="go", cron="0 * * * *")
    stage.sessions.triggers.define("nightly", declared, origin="config")

    assert "declared in: [[triggers]]" in shell.run("triggers", "show", "nightly").out.splitlines()
    for arguments in (("remove", "nightly"), ("set", "nightly", "--prompt", "other"), ("pause", "nightly")):
        done = shell.run("triggers", *arguments)
        assert done.status == 1
        assert "[[triggers]]" in done.err


def test_every_command_prints_json_for_programs(shell: Here) -> None:
    shell.run(*SET)

    for arguments in (
        ("list",),
        ("show", "nightly"),
        ("set", "nightly", "--prompt", "x"),
        ("pause", "nightly"),
        ("resume", "nightly"),
        ("fire", "nightly"),
        ("preview", "@daily"),
        ("remove", "nightly"),
    ):
        done = shell.run("triggers", *arguments, "--json")
        assert done.status == 0, done
        assert isinstance(json.loads(done.out), dict), arguments


def test_why_tells_of_a_tick_that_is_still_to_come_to_its_session(clock: Clockwork, shell: Here) -> None:
    shell.run("triggers", "set", "poems", "--cron", "0 0 1 1 *", "--prompt", "x", "--agent", "poet")
    clock.agents = ("default",)
    tick = shell.run("triggers", "fire", "poems").out.split(";")[0]

    unseen = shell.run("why", f"trigger:poems:{tick}")
    clock.work()
    released = shell.run("why", f"trigger:poems:{tick}")
    as_json = json.loads(shell.run("why", f"trigger:poems:{tick}", "--json").out)

    assert (unseen.status, unseen.out) == (0, f"tick {tick}: due: no worker has looked at it yet\n")
    assert released.out.startswith(f"tick {tick}: released: no worker knows its agent; attempt 1, next at ")
    assert [each["state"] for each in as_json["ticks"]] == ["released"]
    assert shell.run("why", "trigger:poems:20300101T000000Z").status == 1
    assert shell.run("why", "trigger:nobody").status == 1


def test_why_tells_of_the_ticks_behind_a_busy_session(clock: Clockwork, shell: Here) -> None:
    shell.run(*SET, "--session", "one")
    shell.run("triggers", "fire", "nightly")
    clock.work()
    second = shell.run("triggers", "fire", "nightly").out.split(";")[0]
    clock.work()

    done = shell.run("why", "trigger:nightly")

    assert done.out.splitlines()[1:] == [f"tick {second}: due: waits until the one before it is answered"]


def test_an_audit_lists_ticks_without_an_end(clock: Clockwork, shell: Here) -> None:
    shell.run("triggers", "set", "poems", "--cron", "0 0 1 1 *", "--prompt", "x", "--agent", "poet")
    shell.run("triggers", "set", "nightly", "--cron", "0 0 1 1 *", "--prompt", "x")
    shell.run("triggers", "fire", "nightly")
    clock.agents = ("default",)
    tick = shell.run("triggers", "fire", "poems").out.split(";")[0]
    clock.work()

    listed = shell.run("audit")
    found = json.loads(shell.run("audit", "--json").out)

    assert (listed.status, listed.err) == (1, "1 owed\n")
    assert [(each["what"], each["id"], each["state"]) for each in found["owed"]] == [
        ("tick", f"poems@{tick}", "released")
    ]
    assert [row.state for row in clock.rows().values()] == ["dispatched"]
    clock.agents = ("default", "poet")
    clock.pass_time(MINUTE)
    clock.work()
    assert shell.run("audit").status == 0


def test_an_audit_lists_due_times_that_nobody_looked_at(clock: Clockwork, shell: Here) -> None:
    clock.pass_time(-2 * HOUR)
    shell.run(*SET)
    clock.work()
    clock.pass_time(2 * HOUR)

    owed = json.loads(shell.run("audit", "--json").out)["owed"]

    assert [(each["state"], each["remark"]) for each in owed] == [
        ("due", "no worker has looked at it yet")
    ] * 2


def test_explain_tells_a_paused_session_from_a_paused_trigger(clock: Clockwork, shell: Here) -> None:
    shell.run(*SET, "--session", "one", "--overlap", "allow")
    shell.run("triggers", "fire", "nightly")
    clock.work()
    assert shell.run("pause", "trigger:nightly").status == 0
    for _ in range(2):
        shell.run("triggers", "fire", "nightly")
        clock.work()
    shell.run("triggers", "set", "asleep", "--cron", "0 * * * *", "--prompt", "x")
    shell.run("triggers", "pause", "asleep")
    clock.pass_time(HOUR)
    clock.work()

    behind = shell.run("triggers", "explain", "nightly").out.splitlines()[2:4]
    asleep = shell.run("triggers", "explain", "asleep").out.splitlines()[1]

    assert re.search(r"released .* its session is paused; attempt \d+, next at \d\d:\d\d:\d\d", behind[0])
    assert behind[1].endswith("queued behind the earlier ones for its session")
    assert asleep.endswith("the trigger was paused")
    waits = shell.run("why", "trigger:nightly").out.splitlines()
    assert waits[0].startswith("paused")
    assert len(waits) == 4
