"""`[[triggers]]` with real processes: brought into the store by whoever starts, once, and followed when they change."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.scenarios.agent_session import Session
from tests.scenarios.cli_calls import Shell
from tests.scenarios.platform import TOKEN, Platform, Setup, installed_site, running_platform
from tests.worker.waiting import wait_until

YEARLY = 'cron = "0 0 1 1 *"'


def table(id: str, *lines: str) -> str:
    return "\n".join(["[[triggers]]", f'id = "{id}"', f'prompt = "this is {id}"', *lines, ""])


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    config = table("report", YEARLY) + table("old", YEARLY) + table("wrong", YEARLY, 'answer_in = "slack:C1"')
    setup = Setup(site=installed_site(tmp_path_factory), config=config, workers=2)
    with running_platform(tmp_path_factory.mktemp("declared"), setup) as made:
        yield made


def shown(platform: Platform) -> dict[str, str]:
    triggers = platform.http.get("/api/triggers").json()["triggers"]
    return {each["id"]: each["origin"] for each in triggers}


def restart(platform: Platform, config: str) -> None:
    """Deploy another configuration."""
    platform.configure(config)
    for name in ("worker-1", "worker-2"):
        platform.parts[name].stop()
        platform.start_worker(name)
    platform.wait_ready(workers=2)


def test_two_workers_that_start_together_bring_each_once(platform: Platform) -> None:
    wait_until(lambda: shown(platform) == {"report": "config", "old": "config"})

    for trigger in ("report", "old"):
        assert Session(platform, id=f"schedule:{trigger}").types().count("trigger.defined") == 1


def test_one_that_can_not_be_is_in_the_log_with_its_reason(platform: Platform) -> None:
    wait_until(lambda: '"trigger":"wrong"' in platform.logs().replace(": ", ":"))

    lines = [line for line in platform.logs().splitlines() if "trigger_not_declared" in line]
    told = json.loads(lines[0])
    assert (told["trigger"], told["error"]) == ("wrong", "Invalid")
    assert told["reason"].startswith("answer_in: ")


def test_another_configuration_is_followed_by_those_that_start_with_it(platform: Platform) -> None:
    mine = {"prompt": "by hand", "cron": "0 0 1 1 *"}
    assert platform.http.put("/api/triggers/mine", json=mine).status_code == 200
    assert platform.http.put("/api/triggers/report", json=mine).status_code == 409

    restart(platform, table("report", YEARLY, 'overlap = "allow"') + table("new", 'at = "2020-01-01T00:00"'))

    wait_until(lambda: shown(platform) == {"mine": "api", "new": "config", "report": "config"})
    report = platform.http.get("/api/triggers/report").json()
    assert (report["status"], report["definition"]["overlap"]) == ("active", "allow")
    assert platform.http.get("/api/triggers/old").json()["status"] == "removed"
    fired = platform.http.post("/api/triggers/report/fire", json={}).json()["tick"]
    Session(platform, id=f"trigger:report:{fired}").settled()


def test_a_file_with_a_trigger_that_can_not_be_starts_nothing(platform: Platform) -> None:
    bad = platform.folder / "bad.toml"
    bad.write_text(table("a b", YEARLY) + table("both", YEARLY, 'at = "2031-01-01T00:00"', 'tz = "Mars"'))
    shell = Shell(
        home=platform.folder,
        variables={
            "TURNWRIGHT_CONFIG": str(bad),
            "TURNWRIGHT_URL": platform.url,
            "TURNWRIGHT_API_TOKEN": TOKEN,
        },
    )

    checked = shell.run("config", "check")

    assert checked.status == 2
    assert "triggers" in checked.err + checked.out
    assert "Mars" not in checked.out or "time zone" in checked.out + checked.err
    assert shell.run("worker").status == 2
