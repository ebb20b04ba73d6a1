"""Reading and commanding sessions over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import pytest

from services.processors.contract import Contract, Decision, Moment, Processor
from services.streams.event import Event
from tests.scenarios.http_stage import Stage, opened_stage


class Nothing(msgspec.Struct, frozen=True):
    """No state."""


class Stumbler(Processor[Nothing]):
    """Raises on every input."""

    contract = Contract(name="stumbler", version=3, consumes=frozenset({"input.received"}))
    state = Nothing

    def react(self, state: Nothing, event: Event, moment: Moment) -> Sequence[Decision]:
        raise ValueError("on purpose")


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage(plugins=(Stumbler(),)) as opened:
        yield opened


def test_a_session_shows_its_conversation_status_and_usage(stage: Stage) -> None:
    stage.prompt("hello", session="app:x")
    stage.answer("app:x", "hi")

    shown = stage.get("/api/sessions/app:x")

    assert (shown["agent"], shown["status"], shown["wait"], shown["before"]) == (
        "default",
        "idle",
        None,
        None,
    )
    assert (shown["usage"]["input"], shown["usage"]["output"]) == (3, 2)
    assert shown["usage"]["cost_microusd"] is None
    said = [(each["role"], each["text"], each["outcome"]) for each in shown["conversation"]]
    assert said == [("user", "hello", None), ("assistant", "hi", "answered")]
    assert [each["name"] for each in shown["processors"]] == ["agent"]


def test_a_long_conversation_is_read_in_pages_from_the_newest(stage: Stage) -> None:
    for i in range(7):
        stage.prompt(f"q{i}", session="app:x", policy="silent")

    texts: list[list[str]] = []
    path = "/api/sessions/app:x?limit=3"
    page = stage.get(path)
    texts.append([each["text"] for each in page["conversation"]])
    while page["before"]:
        page = stage.get(f"{path}&before={page['before']}")
        texts.append([each["text"] for each in page["conversation"]])

    assert texts == [["q4", "q5", "q6"], ["q1", "q2", "q3"], ["q0"]]


def test_the_status_follows_what_the_session_does(stage: Stage) -> None:
    def status() -> tuple[str, str | None]:
        told = stage.get("/api/sessions/app:x/why")
        return told["status"], told["wait"] and told["wait"]["code"]

    stage.prompt("hello", session="app:x")
    assert status() == ("waiting", "queued")
    stage.advance("app:x")
    assert status() == ("running", "running")
    stage.answer("app:x", "hi")
    assert status() == ("idle", None)
    stage.call("POST", "/api/sessions/app:x/pause", json={"reason": "audit"})
    assert status() == ("paused", "paused")


def test_sessions_are_listed_newest_first_and_paged_without_gap_or_repeat(stage: Stage) -> None:
    made = [str(stage.prompt("hello", session=f"app:{i:02}")["session"]) for i in range(23)]
    stage.prompt("again", session="app:05")

    listed: list[str] = []
    page = stage.get("/api/sessions?limit=4")
    listed += [each["session"] for each in page["sessions"]]
    while page["cursor"]:
        page = stage.get(f"/api/sessions?limit=4&cursor={page['cursor']}")
        listed += [each["session"] for each in page["sessions"]]

    assert sorted(listed) == sorted(made)
    assert listed[0] == "app:05"


def test_sessions_are_filtered_by_status_source_and_part_of_the_id(stage: Stage) -> None:
    stage.prompt("hello", session="app:idle", policy="silent")
    stage.advance("app:idle")
    stage.prompt("hello", session="app:busy")
    stage.prompt("hello")

    def listed(query: str) -> set[str]:
        return {each["session"] for each in stage.get(f"/api/sessions?{query}")["sessions"]}

    assert listed("status=idle") == {"app:idle"}
    assert listed("q=bus") == {"app:busy"}
    assert {each.split(":")[0] for each in listed("source=prompt")} == {"prompt"}
    assert listed("source=slack") == set()


def test_events_are_read_in_order_filtered_and_paged(stage: Stage) -> None:
    stage.prompt("hello", session="app:x")
    stage.answer("app:x", "hi")

    first = stage.get("/api/sessions/app:x/events?limit=4")
    rest = stage.get(f"/api/sessions/app:x/events?after={first['next']}")
    some = stage.get("/api/sessions/app:x/events?type=llm.settled,turn.settled&type=turn.started")

    assert [each["offset"] for each in first["events"] + rest["events"]] == [1, 2, 3, 4, 5, 6]
    assert first["head"] == rest["next"] == 6
    assert [each["type"] for each in some["events"]] == ["turn.started", "llm.settled", "turn.settled"]
    assert stage.get("/api/sessions/app:x/events?after=99")["events"] == []


def test_pending_inputs_are_listed_replaced_and_withdrawn(stage: Stage) -> None:
    stage.prompt("first", session="app:x")
    stage.advance("app:x")
    stage.prompt("second", session="app:x")
    stage.prompt("third", session="app:x")
    second, third = (each["offset"] for each in stage.get("/api/sessions/app:x/inputs")["inputs"])

    replaced = stage.call("PATCH", f"/api/sessions/app:x/inputs/{second}", json={"text": "new"})
    withdrawn = stage.call("DELETE", f"/api/sessions/app:x/inputs/{third}")

    assert (replaced.status_code, withdrawn.status_code) == (200, 200)
    pending = stage.get("/api/sessions/app:x/inputs")["inputs"]
    assert [(each["offset"], each["text"]) for each in pending] == [(second, "new")]
    said = [each["text"] for each in stage.get("/api/sessions/app:x")["conversation"]]
    assert said == ["first", "new"]
    assert stage.types("app:x")[-2:] == ["input.replaced", "input.withdrawn"]


def test_an_input_that_a_request_lists_can_not_be_changed_any_more(stage: Stage) -> None:
    offset = stage.prompt("first", session="app:x")["offset"]
    stage.advance("app:x")

    for method, body in (("PATCH", {"text": "new"}), ("DELETE", None)):
        answer = stage.call(method, f"/api/sessions/app:x/inputs/{offset}", json=body)
        assert (answer.status_code, (answer.json or {})["type"]) == (
            409,
            "urn:turnwright:problem:not-pending",
        )


@pytest.mark.parametrize("offset", [1, 99, 999_999_999_999_999])
def test_what_is_no_input_can_not_be_withdrawn(stage: Stage, offset: int) -> None:
    stage.prompt("first", session="app:x")

    assert stage.call("DELETE", f"/api/sessions/app:x/inputs/{offset}").status_code == 404


def test_withdrawing_twice_is_refused_the_second_time(stage: Stage) -> None:
    offset = stage.prompt("first", session="app:x")["offset"]

    codes = [stage.call("DELETE", f"/api/sessions/app:x/inputs/{offset}").status_code for _ in range(2)]

    assert codes == [200, 409]


def test_cancelling_stops_the_turn_and_with_queued_what_waits_behind_it(stage: Stage) -> None:
    stage.prompt("first", session="app:x")
    stage.advance("app:x")
    stage.prompt("second", session="app:x")

    answer = stage.call("POST", "/api/sessions/app:x/cancel", json={"queued": True})
    stage.advance("app:x")

    assert (answer.status_code, (answer.json or {})["changed"]) == (202, True)
    shown = stage.get("/api/sessions/app:x")
    outcomes = [each["outcome"] for each in shown["conversation"] if each["role"] == "assistant"]
    assert (outcomes, shown["status"]) == (["cancelled", "cancelled"], "idle")


def test_pausing_and_resuming_twice_changes_nothing_the_second_time(stage: Stage) -> None:
    stage.prompt("first", session="app:x")

    changed = [
        (stage.call("POST", f"/api/sessions/app:x/{command}").json or {})["changed"]
        for command in ("pause", "pause", "resume", "resume")
    ]

    assert changed == [True, False, True, False]
    assert stage.types("app:x")[2:] == ["stream.paused", "stream.resumed"]


def test_a_parked_processor_is_shown_and_skipped_by_a_person(stage: Stage) -> None:
    stage.prompt("first", session="app:x")
    stage.advance("app:x")
    attached = stage.call("POST", "/api/sessions/app:x/processors/stumbler/attach")
    stage.advance("app:x")
    offset = stage.prompt("second", session="app:x")["offset"]
    stage.advance("app:x")

    assert attached.status_code == 202
    shown = stage.get("/api/sessions/app:x")
    stumbler = next(each for each in shown["processors"] if each["name"] == "stumbler")
    assert shown["status"] == "faulted"
    assert (stumbler["status"], stumbler["fault"], stumbler["error"]) == ("parked", offset, "ValueError")

    skipped = stage.call("POST", "/api/sessions/app:x/processors/stumbler/skip")
    stage.advance("app:x")
    stage.advance("app:x")

    assert skipped.status_code == 202
    standing = {each["name"]: each["status"] for each in stage.get("/api/sessions/app:x")["processors"]}
    assert standing == {"agent": "ok", "stumbler": "ok"}


def test_commands_for_processors_are_refused_where_they_do_not_fit(stage: Stage) -> None:
    stage.prompt("first", session="app:x")
    stage.advance("app:x")
    base = "/api/sessions/app:x/processors"

    assert stage.call("POST", f"{base}/agent/resume").status_code == 409
    assert stage.call("POST", f"{base}/nobody/attach").status_code == 404
    assert stage.call("POST", f"{base}/stumbler/skip").status_code == 404
    assert (stage.call("POST", f"{base}/agent/attach").json or {})["changed"] is False


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/events"),
        ("GET", "/why"),
        ("GET", "/inputs"),
        ("PATCH", "/inputs/2"),
        ("DELETE", "/inputs/2"),
        ("POST", "/cancel"),
        ("POST", "/pause"),
        ("POST", "/resume"),
        ("POST", "/processors/agent/attach"),
        ("POST", "/processors/agent/skip"),
    ],
)
def test_nothing_can_be_done_to_an_unknown_session(stage: Stage, method: str, path: str) -> None:
    body = {"text": "new"} if method == "PATCH" else None

    answer = stage.call(method, f"/api/sessions/app:none{path}", json=body)

    assert (answer.status_code, (answer.json or {})["type"]) == (404, "urn:turnwright:problem:not-found")
    assert stage.get("/api/sessions")["sessions"] == []


def test_installed_processors_are_listed_with_their_contract(stage: Stage) -> None:
    listed = {each["name"]: each for each in stage.get("/api/processors")["processors"]}

    assert listed["stumbler"] == {
        "name": "stumbler",
        "version": 3,
        "consumes": ["input.received"],
        "emits": [],
    }
    assert "agent" in listed


def test_an_offset_beyond_the_head_counts_as_the_head(stage: Stage) -> None:
    stage.prompt("hello", session="app:short", policy="silent")
    page = stage.get("/api/sessions/app:short/events?after=9999")
    assert (page["events"], page["head"], page["next"]) == ([], 2, 2)


def test_cancelling_where_nothing_is_going_on_changes_nothing(stage: Stage) -> None:
    stage.prompt("hello", session="app:idle")
    stage.answer("app:idle", "hi")
    before = stage.types("app:idle")

    done = stage.call("POST", "/api/sessions/app:idle/cancel", json={})

    assert done.status_code == 202
    assert done.get_json()["changed"] is False
    assert stage.types("app:idle") == before
