"""The checkup on a data directory: what it says of processes that run, were stopped, or are gone."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from deploy.embedded import record_stores
from deploy.rolesfile import write_roles
from services.diagnosis.checkup import check_up
from services.diagnosis.findings import Finding
from services.diagnosis.roles import RoleState, RoleStatus, SupervisorRecord
from services.engine import check_store
from services.errors import Unavailable
from services.processes import started_at
from services.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "run").mkdir()
    record_stores(
        tmp_path, log=f"unix://{tmp_path}/turnwright-x/log.sock", broker=f"unix://{tmp_path}/broker.sock"
    )
    return load_settings({"TURNWRIGHT_HOME": str(tmp_path)})


def _supervised(home: Path, *, is_alive: bool, state: RoleStatus) -> None:
    started = started_at(os.getpid()) or ""
    supervisor = SupervisorRecord(pid=os.getpid(), started=started if is_alive else "another time")
    write_roles(home, supervisor=supervisor, roles={"beat": RoleState(state=state, pid=1)})


def _found(settings: Settings) -> dict[str, Finding]:
    return {finding.part: finding for finding in check_up(settings)}


def test_no_role_is_ok_when_its_supervisor_is_gone(settings: Settings) -> None:
    _supervised(settings.home, is_alive=False, state="running")

    found = _found(settings)

    assert found["processes"].state == "problem"
    assert found["processes"].text == "the supervisor is gone: start it with `make up`"
    assert "beat" not in found
    assert found["log store"].text.endswith("start it with `make up`")
    assert found["broker"].text.endswith("start it with `make up`")


def test_a_role_under_a_living_supervisor_is_ok(settings: Settings) -> None:
    _supervised(settings.home, is_alive=True, state="running")

    found = _found(settings)

    assert (found["beat"].state, "processes" in found) == ("ok", False)
    assert "make up" not in found["log store"].text


def test_what_was_stopped_in_order_is_no_problem(settings: Settings) -> None:
    _supervised(settings.home, is_alive=False, state="stopped")

    assert _found(settings)["processes"].state == "warning"


def test_the_configuration_is_said_to_be_the_one_of_this_shell(settings: Settings) -> None:
    found = _found(settings)

    assert found["configuration"].text.startswith("in this shell's environment: ")
    assert found["plugins"].text.startswith("in this shell's environment: ")


@pytest.mark.parametrize("is_there", [True, False])
def test_a_collector_that_does_not_answer_is_a_warning(settings: Settings, is_there: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if not is_there:
            listener.close()
        endpoint = f"http://user:canary@127.0.0.1:{port}/path?key=canary"
        given = {"TURNWRIGHT_HOME": str(settings.home), "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}

        found = _found(load_settings(given))["collector"]

    assert found.state == ("ok" if is_there else "warning")
    assert f"traces and metrics go to 127.0.0.1:{port}," in found.text
    assert "canary" not in found.text


def test_without_an_endpoint_no_collector_is_looked_for(settings: Settings) -> None:
    assert "collector" not in _found(settings)


def test_each_channel_is_on_or_off_with_the_reason(tmp_path: Path) -> None:
    settings = load_settings(
        {
            "TURNWRIGHT_HOME": str(tmp_path),
            "TURNWRIGHT_SLACK_SIGNING_SECRET": "s" * 32,
            "TURNWRIGHT_SLACK_BOT_TOKEN": "xoxb-canary",
            "TURNWRIGHT_SLACK_API_URL": "http://127.0.0.1:9/api/",
            "TURNWRIGHT_GITHUB_LOGIN": "my-bot",
        }
    )

    found = _found(settings)

    assert found["slack"].state == "warning"
    assert "on, webhooks to /webhooks/slack/events; agent default answers" in found["slack"].text
    assert found["workspace"].state == "problem"
    assert "TURNWRIGHT_SLACK_API_URL must use port" in found["workspace"].text
    assert found["github"].state == "warning"
    assert "off: not set: TURNWRIGHT_GITHUB_WEBHOOK_SECRET" in found["github"].text
    assert "canary" not in repr(found)


def test_a_store_of_ones_own_that_is_away_is_named_without_its_password(tmp_path: Path) -> None:
    url = "redis://somebody:canary@127.0.0.1:9/0"
    settings = load_settings({"TURNWRIGHT_HOME": str(tmp_path), "TURNWRIGHT_STORE_URL": url})

    found = _found(settings)
    with pytest.raises(Unavailable) as refused:
        check_store(settings)

    for said in (found["log store"].text, found["broker"].text, str(refused.value)):
        assert "TURNWRIGHT_STORE_URL names redis://127.0.0.1:9/0" in said
        assert "canary" not in said


def test_a_github_that_can_not_be_asked_is_a_problem_as_slack_is(tmp_path: Path) -> None:
    settings = load_settings(
        {
            "TURNWRIGHT_HOME": str(tmp_path),
            "TURNWRIGHT_GITHUB_WEBHOOK_SECRET": "s" * 32,
            "TURNWRIGHT_GITHUB_TOKEN": "canary",
            "TURNWRIGHT_GITHUB_LOGIN": "my-bot",
            "TURNWRIGHT_GITHUB_API_URL": "http://127.0.0.1:9",
        }
    )

    found = _found(settings)

    assert found["account"].state == "problem"
    assert "check the network, and TURNWRIGHT_GITHUB_API_URL" in found["account"].text
    assert "canary" not in repr(found)
