"""`turnwright spool` and its routes: what waits on a host, and what a person does about what the log refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.spool_stage import entry
from tests.scenarios.cli_calls import Shell
from tests.scenarios.http_stage import TOKEN, Stage, opened_stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage() as opened:
        yield opened
        opened.spool.close()


@pytest.fixture
def shell(stage: Stage, tmp_path: Path) -> Iterator[Shell]:
    with stage.served() as url:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "server.json").write_text(json.dumps({"url": url}))
        (tmp_path / "token").write_text(f"{TOKEN}\n")
        yield Shell(home=tmp_path, variables={})


def refuse(stage: Stage, *keys: str) -> list[str]:
    """Spool webhooks and have them refused; their ids."""
    for key in keys:
        stage.spool.add([entry(key=key)])
    for row in stage.spool.oldest():
        stage.spool.reject(row, "too_large")
    return [row["id"] for row in stage.get("/api/spool")["refused"]]


def test_what_waits_and_what_was_refused_is_listed(stage: Stage, shell: Shell) -> None:
    assert "nothing waits on" in shell.run("spool").out
    (id,) = refuse(stage, "1")
    stage.spool.add([entry(key="2")])

    told = shell.run("spool")
    as_json = json.loads(shell.run("spool", "--json").out)

    assert "1 webhook(s) of 1 stream(s) wait on" in told.out
    assert id in told.out
    assert "too_large" in told.out
    assert (as_json["waiting"], as_json["refused"][0]["key"]) == (1, "1")


def test_one_is_shown_with_its_body(stage: Stage, shell: Shell) -> None:
    (id,) = refuse(stage, "1")

    assert '"source":"slack"' in shell.run("spool", "--show", id).out
    assert json.loads(json.loads(shell.run("spool", "--show", id, "--json").out)["body"])["kind"] == "mention"


def test_one_or_all_are_retried_and_discarded(stage: Stage, shell: Shell) -> None:
    first, second, *_ = refuse(stage, "1", "2", "3", "4")

    assert shell.run("spool", "--retry", first).out == "1 webhook(s) wait for the log store again\n"
    assert shell.run("spool", "--discard", second).out == "1 webhook(s) discarded\n"
    assert shell.run("spool", "--retry", "all").out == "2 webhook(s) wait for the log store again\n"
    assert json.loads(shell.run("spool", "--discard", "all", "--json").out) == {"changed": 0}
    assert stage.get("/api/spool")["waiting"] == 3


def test_an_id_that_is_gone_and_words_that_are_none_are_told_apart(stage: Stage, shell: Shell) -> None:
    (id,) = refuse(stage, "1")
    shell.run("spool", "--discard", id)

    gone = shell.run("spool", "--discard", id)
    hidden = shell.run("spool", "--show", id)
    wrong = [
        shell.run("spool", *arguments)
        for arguments in (("--retry", "7"), ("--show", "all"), ("--discard", "../../x"))
    ]
    both = shell.run("spool", "--retry", "all", "--discard", "all")

    assert (gone.status, gone.err.count("\n")) == (1, 1)
    assert "or no longer" in gone.err
    assert (hidden.status, "does not exist" in hidden.err) == (1, True)
    assert [(each.status, "must be the id of a refused webhook" in each.err) for each in wrong] == [
        (2, True)
    ] * 3
    assert (both.status, "exclude each other" in both.err) == (2, True)


def test_the_routes_need_a_token_and_refuse_what_they_do_not_know(stage: Stage) -> None:
    assert stage.call("GET", "/api/spool", token=None).status_code == 401
    assert stage.call("POST", "/api/spool/all/discard", token="tw_other").status_code == 401
    assert stage.call("GET", "/api/spool?limit=0").status_code == 422
    assert stage.call("GET", "/api/spool?cursor=x").status_code == 422
    assert stage.call("GET", "/api/spool/all").status_code == 404
    assert stage.call("POST", "/api/spool/x/retry").status_code == 404
    assert stage.call("POST", "/api/spool/all/retry", json={"x": 1}).status_code == 422
