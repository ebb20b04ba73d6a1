"""Whatever is thrown at the API, it answers what the caller did wrong: never a 500, never half a change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
    "/api/event-types",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/{session}",
)
FIELDS = ("text", "session", "agent", "policy", "queued", "reason", "callback", "")
QUERIES = ("after", "limit", "type", "status", "source", "q", "cursor", "before", "state", "session", "x")
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
bodies = (
    st.none()
    | st.binary(max_size=60)
    | st.builds(lambda found: json.dumps(found).encode(), documents | prompts)
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
        yield opened


def _send(stage: Stage, wanted: dict[str, object]) -> tuple[int, str | None, bytes]:
    parts = {name: quote(str(wanted[name]), errors="surrogatepass") for name in ("session", "offset", "name")}
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


def _dict(found: object) -> dict[str, str]:
    return found if isinstance(found, dict) else {}


@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(wanted=requests)
def test_no_request_breaks_the_server(stage: Stage, wanted: dict[str, object]) -> None:
    before = stage.log.recent()

    status, mimetype, body = _send(stage, wanted)

    assert status < 500, (status, body)
    if status >= 400:
        assert mimetype == "application/problem+json"
        if wanted["method"] != "HEAD":
            told = json.loads(body)
            assert told["status"] == status
            assert KINDS[told["type"].removeprefix(TYPE_PREFIX)][0] == status
        assert stage.log.recent() == before


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
