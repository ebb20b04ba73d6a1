"""`turnwright inbound` and `turnwright audit`: what they print, and how they end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.streams.inbound_events import InboundSettled
from tests.scenarios.cli_calls import Shell
from tests.scenarios.http_stage import TOKEN, Stage, opened_stage
from tests.scenarios.inbound_stage import ANA, Hand, send, sources


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage(sources=sources()) as opened:
        yield opened


@pytest.fixture
def shell(stage: Stage, tmp_path: Path) -> Iterator[Shell]:
    with stage.served() as url:
        yield Shell(home=tmp_path, variables={"TURNWRIGHT_URL": url, "TURNWRIGHT_API_TOKEN": TOKEN})


def test_the_ledger_tells_what_became_of_each_delivery(stage: Stage, shell: Shell) -> None:
    send(stage)
    send(stage, type="order.spam")
    stage.advance(ANA)
    end = InboundSettled(delivery=2, state="routed", session="in:shop:ana", offset=2)
    Hand(stage).take_and_end(2, end)
    send(stage, name="bank")

    rows = [line.split("inbound:")[1].split() for line in shell.run("inbound").out.splitlines()[1:]]

    assert rows == [
        ["bank@2", "order.placed", "pending", "queued", "for", "a", "worker"],
        ["shop:ana@3", "order.spam", "ignored", "route_says_ignore"],
        ["shop:ana@2", "order.placed", "routed", "in:shop:ana@2"],
    ]
    page = json.loads(shell.run("inbound", "--state", "routed", "--source", "shop", "--json").out)
    assert [each["id"] for each in page["deliveries"]] == [f"{ANA}@2"]
    assert "there is more" in shell.run("inbound", "--limit", "2").err
    assert shell.run("inbound", "--state", "lost").status == 2


def test_an_audit_ends_well_when_nothing_is_owed(stage: Stage, shell: Shell) -> None:
    send(stage, type="order.spam")
    stage.advance(ANA)

    done = shell.run("audit")
    as_json = shell.run("audit", "--json")

    assert (done.status, done.out, done.err) == (0, "", "nothing is owed\n")
    assert (as_json.status, json.loads(as_json.out)) == (0, {"ok": True, "owed": []})


def test_an_audit_lists_what_is_pending_and_ends_with_1(stage: Stage, shell: Shell) -> None:
    send(stage)
    send(stage)
    stage.advance(ANA)
    hand = Hand(stage)
    hand.claims.release(hand.take(2), error="paused", delay_ms=600_000, free=True)

    done = shell.run("audit")
    found = json.loads(shell.run("audit", "--since", "2d", "--json").out)

    assert (done.status, done.err) == (1, "2 owed\n")
    assert f"{ANA}@2" in done.out
    assert not found["ok"]
    assert [(each["what"], each["id"], each["state"]) for each in found["owed"]] == [
        ("delivery", f"{ANA}@3", "behind"),
        ("delivery", f"{ANA}@2", "paused"),
    ]


@pytest.mark.parametrize("since", ["2", "d", "0d", "-1h", "2w", "1.5h"])
def test_an_age_that_is_none_is_wrong_usage(shell: Shell, since: str) -> None:
    done = shell.run("audit", f"--since={since}")

    assert (done.status, "--since" in done.err) == (2, True)


def test_both_say_when_no_server_answers(tmp_path: Path) -> None:
    for command in ("inbound", "audit"):
        done = Shell(home=tmp_path, variables={}).run(command)
        assert (done.status, "no server runs" in done.err) == (1, True)
