"""The checkup on a data directory: what it says of processes that run, were stopped, or are gone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy.embedded import record_stores
from deploy.rolesfile import write_roles
from services.diagnosis.checkup import Finding, check_up
from services.diagnosis.roles import RoleState, RoleStatus, SupervisorRecord
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
