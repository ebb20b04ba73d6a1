"""Triggers over HTTP: defined, changed, listed, removed, fired; what is wrong with one is said by its field."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from services.streams.schedule_events import Definition
from tests.fakes.clockwork import HOUR, Clockwork, at
from tests.scenarios.http_stage import Stage, call, opened_stage, store_url

HOURLY = {"prompt": "go", "cron": "0 * * * *"}
PATH = "/api/triggers/nightly"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage() as opened:
        yield opened


@pytest.fixture
def clock(stage: Stage) -> Iterator[Clockwork]:
    """The worker behind it."""
    made = Clockwork(store_url(), stage.log.keys)
    yield made
    made.close()


def put(stage: Stage, body: object = HOURLY, trigger: str = "nightly") -> TestResponse:
    return stage.call("PUT", f"/api/triggers/{trigger}", json=body)


def types(stage: Stage, trigger: str = "nightly") -> list[str]:
    return stage.types(f"schedule:{trigger}")


def test_a_new_trigger_is_there_with_all_that_was_not_said(stage: Stage, clock: Clockwork) -> None:
    answer = put(stage, {"prompt": "go", "cron": "0 * * * *"})

    assert answer.status_code == 200, answer.text
    made = answer.json or {}
    assert made["changed"] is True
    assert made["trigger"] == stage.get(PATH)
    assert made["trigger"] | {"head": 0} == {
        "id": "nightly",
        "status": "active",
        "origin": "api",
        "definition": {
            "prompt": "go",
            "agent": "default",
            "cron": "0 * * * *",
            "at": None,
            "tz": "UTC",
            "session": "each",
            "answer_in": None,
            "misfire": "latest",
            "catch_up_s": 14_400,
            "overlap": "queue",
            "paused": False,
        },
        "next": clock.now // HOUR * HOUR + HOUR,
        "reason": "",
        "open": 0,
        "head": 0,
    }


def test_the_same_definition_again_changes_nothing(stage: Stage) -> None:
    first = put(stage)
    again = put(stage)

    assert (first.json or {})["changed"] is True
    assert (again.json or {})["changed"] is False
    assert types(stage) == ["stream.created", "trigger.defined"]


def test_what_is_shown_of_a_trigger_defines_it_again(stage: Stage) -> None:
    put(stage, {**HOURLY, "tz": "Asia/Kathmandu", "overlap": "skip", "session": "one"})

    again = put(stage, stage.get(PATH)["definition"])

    assert (again.json or {})["changed"] is False


def test_a_change_counts_from_now_on(stage: Stage) -> None:
    put(stage)
    changed = put(stage, {**HOURLY, "prompt": "now this", "paused": True})

    assert changed.json is not None
    assert changed.json["changed"] is True
    shown = stage.get(PATH)
    assert (shown["definition"]["prompt"], shown["status"], shown["next"]) == ("now this", "paused", None)
    assert types(stage).count("trigger.defined") == 2


def test_a_time_of_the_zone_and_one_with_an_offset_are_the_same_time(stage: Stage) -> None:
    once = {"prompt": "go", "at": "2031-07-01T18:00", "tz": "Europe/Berlin"}
    assert put(stage, once).status_code == 200
    assert stage.get(PATH)["next"] == 1_940_688_000_000

    for same in ("2031-07-01T16:00:00+00:00", "2031-07-01T16:00:00Z", 1_940_688_000_000):
        answer = put(stage, {**once, "at": same})
        assert answer.json is not None, answer.text
        assert answer.json["changed"] is False, same


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n"}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": "a\u0000b"}, "prompt"),
        ({"prompt": "{dates}"}, "prompt"),
        ({"prompt": "{date"}, "prompt"),
        ({"prompt": "{date!r}"}, "prompt"),
        ({"prompt": "{date:>9999999999}"}, "prompt"),
        ({"prompt": "{date.__class__}"}, "prompt"),
        ({"prompt": "é" * 6145}, "prompt"),
        ({"agent": "nobody"}, "agent"),
        ({"agent": ""}, "agent"),
        ({"agent": None}, "agent"),
        ({"cron": ""}, "cron"),
        ({"cron": "* * * *"}, "cron"),
        ({"cron": "* * * * * *"}, "cron"),
        ({"cron": "60 * * * *"}, "cron"),
        ({"cron": "0 9 * * 8"}, "cron"),
        ({"cron": "*/0 * * * *"}, "cron"),
        ({"cron": "0 9 30 2 *"}, "cron"),
        ({"cron": "0 9 31 4,6,9,11 *"}, "cron"),
        ({"cron": "@reboot"}, "cron"),
        ({"cron": "9"}, "cron"),
        ({"cron": "0 " * 101}, "cron"),
        ({"cron": 5}, "cron"),
        ({"cron": None}, "cron"),
        ({"at": "2031-01-01T00:00"}, "cron"),
        ({"cron": None, "at": "soon"}, "at"),
        ({"cron": None, "at": "2020-01-01T00:00"}, "at"),
        ({"cron": None, "at": "2031-02-30T00:00"}, "at"),
        ({"cron": None, "at": "2031-01-01T00:00:00+99:00"}, "at"),
        ({"cron": None, "at": 0}, "at"),
        ({"cron": None, "at": -1}, "at"),
        ({"cron": None, "at": 10**18}, "at"),
        ({"cron": None, "at": 1.5}, "at"),
        ({"cron": None, "at": True}, "at"),
        ({"tz": "Europe/Atlantis"}, "tz"),
        ({"tz": "../../etc/passwd"}, "tz"),
        ({"tz": "/etc/passwd"}, "tz"),
        ({"tz": "Europe"}, "tz"),
        ({"tz": ""}, "tz"),
        ({"tz": "é\u0000"}, "tz"),
        ({"tz": "x" * 201}, "tz"),
        ({"session": "two"}, "session"),
        ({"answer_in": "slack:C1"}, "answer_in"),
        ({"answer_in": ""}, "answer_in"),
        ({"misfire": "never"}, "misfire"),
        ({"catch_up_s": 59}, "catch_up_s"),
        ({"catch_up_s": 259_201}, "catch_up_s"),
        ({"catch_up_s": -1}, "catch_up_s"),
        ({"catch_up_s": "4h"}, "catch_up_s"),
        ({"overlap": "merge"}, "overlap"),
        ({"paused": "no"}, "paused"),
        ({"crn": "0 * * * *"}, "crn"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(stage: Stage, change: dict[str, Any], field: str) -> None:
    answer = put(stage, {**HOURLY, **change})

    told = answer.json or {}
    assert (answer.status_code, told.get("field")) == (422, field), answer.text
    assert len(told["detail"]) > 10, answer.text
    assert types(stage) == []
    assert stage.get("/api/triggers")["triggers"] == []


def test_a_definition_without_any_time_is_refused(stage: Stage) -> None:
    assert put(stage, {"prompt": "go"}).status_code == 422
    assert put(stage, {}).status_code == 422
    assert put(stage, []).status_code == 422
    assert put(stage, "0 * * * *").status_code == 422


@pytest.mark.parametrize("trigger", ["-a", ".a", "a" * 65, "a b", "a@b", "a:b", "é", "a%2Fb", "%00"])
def test_a_name_that_can_not_be_is_not_found(stage: Stage, trigger: str) -> None:
    assert put(stage, HOURLY, trigger).status_code in (404, 422)
    assert stage.call("GET", f"/api/triggers/{trigger}").status_code == 404
    assert stage.get("/api/triggers")["triggers"] == []


def test_ten_that_define_the_same_at_once_define_it_once(stage: Stage) -> None:
    answers: list[TestResponse] = []
    start = threading.Barrier(10)

    def define() -> None:
        client = stage.app.test_client()
        start.wait()
        answers.append(call(client, "PUT", PATH, json=HOURLY))

    threads = [threading.Thread(target=define) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [each.status_code for each in answers] == [200] * 10
    assert sum((each.json or {})["changed"] for each in answers) == 1
    assert types(stage) == ["stream.created", "trigger.defined"]


def test_ten_that_define_it_otherwise_at_once_are_all_heard_or_told_to_try_again(stage: Stage) -> None:
    statuses: list[int] = []
    start = threading.Barrier(10)

    def define(number: int) -> None:
        client = stage.app.test_client()
        start.wait()
        body = {**HOURLY, "prompt": f"number {number}"}
        statuses.append(call(client, "PUT", PATH, json=body).status_code)

    threads = [threading.Thread(target=define, args=(n,)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(statuses) <= {200, 409}
    assert types(stage).count("trigger.defined") == statuses.count(200) >= 1


def test_more_changes_than_anybody_has_looked_at_are_held_back(stage: Stage, clock: Clockwork) -> None:
    for number in range(32):
        assert put(stage, {**HOURLY, "prompt": f"number {number}"}).status_code == 200

    late = put(stage, {**HOURLY, "prompt": "one more"})
    assert (late.status_code, "Retry-After" in late.headers) == (503, True), late.text

    clock.work()
    assert put(stage, {**HOURLY, "prompt": "one more"}).status_code == 200


def test_a_declared_trigger_is_changed_where_it_is_declared(stage: Stage) -> None:
    declared = Definition(prompt="go", cron="0 * * * *")
    stage.sessions.triggers.define("nightly", declared, origin="config")

    for answer in (put(stage, {**HOURLY, "prompt": "other"}), put(stage), stage.call("DELETE", PATH)):
        assert answer.status_code == 409, answer.text
        assert "configuration" in (answer.json or {})["detail"]
    assert stage.get(PATH)["origin"] == "config"
    assert stage.call("POST", f"{PATH}/fire").status_code == 202


def test_many_triggers_are_listed_page_by_page_in_their_order(stage: Stage) -> None:
    names = sorted(f"t{number}" for number in range(23))
    for name in reversed(names):
        put(stage, HOURLY, name)
    stage.call("DELETE", "/api/triggers/t7")

    found: list[str] = []
    cursor = ""
    while True:
        page = stage.get(f"/api/triggers?limit=5{f'&cursor={cursor}' if cursor else ''}")
        assert len(page["triggers"]) <= 5
        found += [each["id"] for each in page["triggers"]]
        if page["cursor"] is None:
            break
        cursor = page["cursor"]

    assert found == [name for name in names if name != "t7"]


def test_one_that_was_removed_is_due_no_more_and_can_be_defined_again(stage: Stage, clock: Clockwork) -> None:
    put(stage, {**HOURLY, "overlap": "allow"})
    clock.pass_time(HOUR)
    clock.work()

    removed = stage.call("DELETE", PATH)
    clock.pass_time(HOUR)
    clock.work()

    assert (removed.status_code, (removed.json or {})["status"]) == (200, "removed")
    assert stage.get(PATH)["definition"] is None
    assert stage.call("DELETE", PATH).status_code == 404
    assert stage.call("POST", f"{PATH}/fire").status_code == 404
    assert list(clock.states()) == [at(10)]

    put(stage, {**HOURLY, "overlap": "allow"})
    clock.pass_time(HOUR)
    clock.work()
    assert clock.states() == {at(10): "dispatched", at(12): "dispatched"}


def test_one_that_never_was_is_not_found(stage: Stage) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/fire"), ("GET", "/ticks")):
        assert stage.call(method, f"{PATH}{path}").status_code == 404
    assert types(stage) == []


def test_firing_with_the_same_key_is_one_tick(stage: Stage, clock: Clockwork) -> None:
    put(stage, {**HOURLY, "overlap": "allow"})
    fired = [
        stage.call("POST", f"{PATH}/fire", headers={"Idempotency-Key": "k1"}).json or {} for _ in range(3)
    ]
    other = stage.call("POST", f"{PATH}/fire", headers={"Idempotency-Key": "k2"}).json or {}
    stage.add_token("tw_other")
    foreign = (
        stage.call("POST", f"{PATH}/fire", token="tw_other", headers={"Idempotency-Key": "k1"}).json or {}
    )
    clock.work()

    assert [each["duplicate"] for each in fired] == [False, True, True]
    assert len({each["tick"] for each in fired}) == 1
    assert len({fired[0]["tick"], other["tick"], foreign["tick"]}) == 3
    assert set(clock.states().values()) == {"dispatched"}
    assert len(clock.rows()) == 3


def test_what_is_paused_can_be_done_by_hand(stage: Stage, clock: Clockwork) -> None:
    put(stage, {**HOURLY, "paused": True})
    tick = (stage.call("POST", f"{PATH}/fire").json or {})["tick"]
    clock.pass_time(HOUR)
    clock.work()

    assert clock.states() == {tick: "dispatched", at(10): "skipped: paused"}


def test_all_that_is_offered_is_in_the_openapi_document(stage: Stage) -> None:
    paths = stage.get("/openapi.json")["paths"]

    offered = {path: sorted(paths[path]) for path in paths if "trigger" in path or "schedule" in path}
    assert {path: [m for m in methods if m != "parameters"] for path, methods in offered.items()} == {
        "/api/triggers": ["get"],
        "/api/triggers/{trigger}": ["delete", "get", "put"],
        "/api/triggers/{trigger}/fire": ["post"],
        "/api/triggers/{trigger}/ticks": ["get"],
        "/api/schedule/preview": ["get"],
    }


def test_nobody_without_a_token_sees_or_changes_a_trigger(stage: Stage) -> None:
    put(stage)
    for method, path in (
        ("GET", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("POST", "/fire"),
        ("GET", "/ticks"),
    ):
        assert stage.call(method, f"{PATH}{path}", token=None, json=HOURLY).status_code == 401
    assert stage.call("GET", "/api/schedule/preview?expr=@daily", token=None).status_code == 401
    assert types(stage) == ["stream.created", "trigger.defined"]
