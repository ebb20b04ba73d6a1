"""Whatever is thrown at the API, it answers what the caller did wrong: never a 500, never half a change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.schedule.index import Index
from services.streams.schedule_events import Definition
from tests.scenarios.http_stage import Stage, call, opened_stage
from web.app import WebLimits
from web.problems import KINDS, TYPE_PREFIX

PATHS = (
    "/api/prompts",
    "/api/sessions",
    "/api/sessions/{session}",
    "/api/sessions/{session}/events",
    "/api/sessions/{session}/inputs",
    "/api/sessions/{session}/inputs/{offset}",
    "/api/sessions/{session}/cancel",
    "/api/sessions/{session}/pause",
    "/api/sessions/{session}/resume",
    "/api/sessions/{session}/why",
    "/api/sessions/{session}/processors/{name}/attach",
    "/api/sessions/{session}/processors/{name}/resume",
    "/api/sessions/{session}/processors/{name}/skip",
    "/api/processors",
    "/api/outbox",
    "/api/outbox/{session}/replay",
    "/api/outbox/{session}@r{offset}/replay",
    "/api/outbox/{session}@r{offset}/discard",
    "/api/triggers",
    "/api/triggers/{trigger}",
    "/api/triggers/{trigger}/ticks",
    "/api/triggers/{trigger}/fire",
    "/api/schedule/preview",
    "/api/event-types",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/{session}",
)
FIELDS = (
    *("text", "session", "agent", "policy", "queued", "reason", "callback", ""),
    *("prompt", "cron", "at", "tz", "catch_up_s", "answer_in", "paused"),
)
QUERIES = (
    *("after", "limit", "type", "status", "source", "q", "cursor", "before", "state", "session", "x"),
    *("since", "expr", "tz", "count"),
)
NAMES = ("session", "offset", "name", "trigger")
HEADERS = (
    *("Idempotency-Key", "Prefer", "Accept", "Last-Event-ID", "Content-Type", "Content-Encoding"),
    *("Authorization", "X-Forwarded-For", "Range", "If-Match", "Expect", "Cookie"),
)
VALUES = (
    *("application/json", "text/event-stream", "identity", "gzip", "wait=1", "wait=99999", "0", "7", "-1"),
    *(
        "",
        "*/*",
        "bytes=0-",
        "a,b;q=0.1,,;",
        "multipart/form-data; boundary=",
        "application/json; charset=utf-16",
    ),
)

odd_text = st.text(max_size=20) | st.sampled_from(
    ["app:x", "app:y", "prompt:0", "é", "\x00", "..", "%00", "\ud800"]
)
header_text = st.text(
    st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n"), max_size=30
)
numbers = st.integers() | st.sampled_from([0, 1, 2, 3, 2**31, 2**53, 2**63, 2**64, 10**30]) | st.floats()
documents = st.recursive(
    st.none() | st.booleans() | numbers | odd_text,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | odd_text, inner, max_size=5)
    ),
    max_leaves=8,
)
prompts = st.fixed_dictionaries(
    {"text": odd_text},
    optional={
        "session": st.sampled_from(["app:x", "app:y", "prompt:none"]) | odd_text,
        "agent": st.sampled_from(["default", "poet"]) | odd_text,
        "policy": st.sampled_from(["follow_up", "steer", "collect", "silent"]) | odd_text,
        "callback": st.sampled_from(["https://example.org/", "http://[::1]/", "http://1.2.3.4:0x50/"])
        | odd_text,
    },
)
definitions = st.fixed_dictionaries(
    {"prompt": odd_text | st.sampled_from(["go", "{date}", "{", "{{}}", "{0}", "{date!r:>{due}}"])},
    optional={
        "cron": st.sampled_from(["* * * * *", "@daily", "0 9 29 2 1", "0 0 30 2 *", "*/0 * * * *", "@reboot"])
        | odd_text,
        "at": numbers | odd_text | st.sampled_from(["2031-07-01T18:00", "9999-12-31T23:59:59-14:00"]),
        "tz": st.sampled_from(["UTC", "Australia/Lord_Howe", "Africa/Monrovia", "../UTC", "posixrules"])
        | odd_text,
        "agent": st.sampled_from(["default", "poet"]) | odd_text,
        "session": st.sampled_from(["each", "one"]) | odd_text,
        "misfire": st.sampled_from(["skip", "latest", "all"]) | odd_text,
        "overlap": st.sampled_from(["skip", "queue", "allow"]) | odd_text,
        "catch_up_s": numbers | odd_text,
        "answer_in": odd_text,
        "paused": st.booleans() | odd_text,
    },
)
bodies = (
    st.none()
    | st.binary(max_size=60)
    | st.builds(lambda found: json.dumps(found).encode(), documents | prompts | definitions)
    | st.integers(1, 900).map(lambda depth: b"[" * depth)
    | st.integers(1, 400).map(lambda depth: b'{"text":' * depth + b"1" + b"}" * depth)
)
requests = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS", "TRACE"]),
        "path": st.sampled_from(PATHS),
        "session": st.sampled_from(["app:x", "app:none"]) | odd_text.filter(bool),
        "offset": (numbers | odd_text).map(str),
        "name": st.sampled_from(["agent", "nobody"]) | odd_text,
        "trigger": st.sampled_from(["nightly", "nobody"]) | odd_text.filter(bool),
        "query": st.dictionaries(st.sampled_from(QUERIES), (numbers | odd_text).map(str), max_size=3),
        "headers": st.dictionaries(
            st.sampled_from(HEADERS), st.sampled_from(VALUES) | header_text, max_size=3
        ),
        "body": bodies,
    }
)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    limits = WebLimits(body_bytes=2048, longest_wait_s=0.01, live_requests=2, heartbeat_s=0.01)
    with opened_stage(limits=limits) as opened:
        opened.prompt("hello", session="app:x")
        opened.advance("app:x")
        opened.sessions.triggers.define("nightly", Definition(prompt="go", cron="0 * * * *"))
        yield opened


def _send(stage: Stage, wanted: dict[str, object]) -> tuple[int, str | None, bytes]:
    parts = {name: quote(str(wanted[name]), errors="surrogatepass") for name in NAMES}
    query = urlencode(_dict(wanted["query"]), errors="surrogatepass")
    answer = call(
        stage.client,
        str(wanted["method"]),
        f"{str(wanted['path']).format(**parts)}?{query}",
        headers={"Content-Type": "application/json", **_dict(wanted["headers"])},
        data=wanted["body"],
    )
    try:
        is_stream = answer.mimetype == "text/event-stream"
        return answer.status_code, answer.mimetype, b"" if is_stream else answer.data
    finally:
        answer.close()


def _triggers(stage: Stage) -> list[tuple[str, int]]:
    return [(stream, stage.log.head(stream)) for stream in Index(stage.log).every()]


def _dict(found: object) -> dict[str, str]:
    return found if isinstance(found, dict) else {}


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(wanted=requests)
def test_no_request_breaks_the_server(stage: Stage, wanted: dict[str, object]) -> None:
    before = stage.log.recent(), _triggers(stage)

    status, mimetype, body = _send(stage, wanted)

    assert status < 500, (status, body)
    if status >= 400:
        assert mimetype == "application/problem+json"
        if wanted["method"] != "HEAD":
            told = json.loads(body)
            assert told["status"] == status
            assert KINDS[told["type"].removeprefix(TYPE_PREFIX)][0] == status
        assert (stage.log.recent(), _triggers(stage)) == before


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=prompts)
def test_a_prompt_is_either_stored_as_it_was_sent_or_refused(stage: Stage, body: dict[str, str]) -> None:
    raw = json.dumps(body).encode()

    answer = stage.call("POST", "/api/prompts", data=raw, content_type="application/json")

    if answer.status_code == 202:
        accepted = answer.json or {}
        event = stage.events_from(accepted["session"], accepted["offset"])[0]
        assert json.loads(bytes(event.payload))["text"] == body["text"]
    else:
        assert answer.status_code in (400, 404, 409, 422)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=definitions)
def test_a_trigger_is_either_what_was_sent_or_refused_by_a_field(
    stage: Stage, body: dict[str, object]
) -> None:
    raw = json.dumps(body).encode()

    answer = stage.call("PUT", "/api/triggers/fuzzed", data=raw, content_type="application/json")

    told = answer.json or {}
    if answer.status_code == 200:
        shown = told["trigger"]["definition"]
        assert {name: shown[name] for name in body if name != "at"} == {n: body[n] for n in body if n != "at"}
        assert told["trigger"]["next"] is not None or shown["paused"]
        stage.advance("schedule:fuzzed")
        assert "processor.faulted" not in stage.types("schedule:fuzzed")
    else:
        assert answer.status_code in (400, 422), answer.text
        assert answer.status_code == 400 or told["field"] in (*body, "cron", "request"), answer.text
