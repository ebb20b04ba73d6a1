"""What a request must look like: everything else is refused by kind, before the store is touched."""

from __future__ import annotations

import io

import pytest
from flask.testing import FlaskClient

from tests.unit.web_bare import authorized, bare_app
from web.problems import KINDS, TYPE_PREFIX


@pytest.fixture
def client() -> FlaskClient:
    return authorized(bare_app())


def _post(client: FlaskClient, body: bytes, **headers: str) -> tuple[int, str | None, dict[str, object]]:
    answer = client.post("/api/prompts", data=body, headers={"Content-Type": "application/json", **headers})
    problem: dict[str, object] = answer.json or {}
    return answer.status_code, answer.mimetype, problem


@pytest.mark.parametrize(
    ("body", "kind", "field"),
    [
        (b"", "malformed", None),
        (b"{", "malformed", None),
        (b'{"text": "a"} x', "malformed", None),
        (b'{"text": NaN}', "malformed", None),
        (b'{"text": "\xff"}', "malformed", None),
        (b'{"text": "\\ud800"}', "malformed", None),
        (b'{"text": "\xed\xa0\x80"}', "malformed", None),
        (b'\xef\xbb\xbf{"text": "a"}', "malformed", None),
        ('{"text": "a"}'.encode("utf-16"), "malformed", None),
        (b"[" * 4000, "invalid", "request"),
        (b'{"text": ' + b"[" * 3000 + b"]" * 3000, "too-large", None),
        (b'{"text": ' + b"[" * 1500 + b"]" * 1500 + b"}", "invalid", "text"),
        (b"null", "invalid", "request"),
        (b"{}", "invalid", "text"),
        (b'{"text": 1}', "invalid", "text"),
        (b'{"text": null}', "invalid", "text"),
        (b'{"text": ""}', "invalid", "text"),
        (b'{"text": " \\n"}', "invalid", "text"),
        (b'{"text": "a", "callbacks": "http://x"}', "invalid", "callbacks"),
        (b'{"text": "a", "policy": "later"}', "invalid", "policy"),
        (b'{"text": "a", "agent": "nobody"}', "invalid", "agent"),
        (b'{"text": "a", "session": "a/b"}', "invalid", "session"),
        (b'{"text": "a", "session": "app:x\\n"}', "invalid", "session"),
        (b'{"text": "a", "session": ""}', "invalid", "session"),
        (b'{"text": "a", "session": "' + b"x" * 201 + b'"}', "invalid", "session"),
    ],
)
def test_a_bad_body_is_refused_by_kind_and_field(
    client: FlaskClient, body: bytes, kind: str, field: str | None
) -> None:
    status, mimetype, problem = _post(client, body)

    assert (problem["type"], problem.get("field")) == (TYPE_PREFIX + kind, field)
    assert (status, mimetype) == (KINDS[kind][0], "application/problem+json")
    assert problem["status"] == status


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", "x"])
def test_an_encoded_body_is_refused(client: FlaskClient, encoding: str) -> None:
    status, _, problem = _post(client, b'{"text": "a"}', **{"Content-Encoding": encoding})

    assert (status, problem["type"]) == (415, TYPE_PREFIX + "unsupported-encoding")


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"]
)
def test_another_media_type_is_refused(client: FlaskClient, media: str) -> None:
    status, _, problem = _post(client, b'{"text": "a"}', **{"Content-Type": media})

    assert (status, problem["type"]) == (415, TYPE_PREFIX + "unsupported-media-type")


def test_an_oversized_body_is_refused_before_it_is_read(client: FlaskClient) -> None:
    unread = io.BytesIO(b"x" * 5000)
    headers = {"Content-Type": "application/json", "Content-Length": "5000"}

    answer = client.post("/api/prompts", input_stream=unread, headers=headers)

    assert (answer.status_code, answer.mimetype) == (413, "application/problem+json")
    assert unread.tell() == 0


def test_an_oversized_body_of_unknown_length_is_cut_off(client: FlaskClient) -> None:
    body = io.BytesIO(b'{"text": "' + b"x" * 100_000)
    environ = {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}

    answer = client.post(
        "/api/prompts", input_stream=body, content_type="application/json", environ_overrides=environ
    )

    assert answer.status_code == 413
    assert body.tell() < 10_000


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 201, "a\tb"])
def test_an_idempotency_key_is_visible_ascii_of_bounded_length(client: FlaskClient, key: str) -> None:
    status, _, problem = _post(client, b'{"text": "a"}', **{"Idempotency-Key": key})

    assert (status, problem.get("field")) == (422, "Idempotency-Key")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/sessions?limit=0", "limit"),
        ("/api/sessions?limit=x", "limit"),
        ("/api/sessions?limit=5&limit=6", "limit"),
        ("/api/sessions?status=asleep", "status"),
        ("/api/sessions?cursor=zz", "cursor"),
        ("/api/sessions?page=2", "page"),
        ("/api/sessions/app:x?before=0", "before"),
        ("/api/sessions/app:x/events?after=-1", "after"),
        ("/api/sessions/app:x/events?after=99999999999999999999999", "after"),
        ("/api/sessions/app:x/events?limit=1e3", "limit"),
        ("/api/sessions/app:x/why?x=1", "x"),
    ],
)
def test_a_bad_query_is_refused_by_name(client: FlaskClient, path: str, field: str) -> None:
    answer = client.get(path)

    assert (answer.status_code, (answer.json or {}).get("field")) == (422, field)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "//api/sessions",
        "/api/sessions/",
        "/api/sessions/a b/why",
        "/api/sessions/" + "x" * 201,
        "/api/sessions/app:x/inputs/0",
        "/api/sessions/app:x/inputs/-1",
        "/api/sessions/app:x/inputs/" + "9" * 5000,
        "/api/sessions/..%2f..%2fetc/why",
        "/api/sessions/%00/why",
        "/static/x",
        "/webhooks/github",
    ],
)
def test_a_path_that_is_none_of_ours_does_not_exist(client: FlaskClient, path: str) -> None:
    answer = client.patch(path, json={"text": "a"})
    if answer.status_code == 405:
        answer = client.get(path)

    assert (answer.status_code, (answer.json or {})["type"]) == (404, TYPE_PREFIX + "not-found")


def test_a_method_a_path_does_not_have_is_refused_with_those_it_has(client: FlaskClient) -> None:
    answer = client.put("/api/sessions")

    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert answer.mimetype == "application/problem+json"


def test_a_missing_store_is_said_and_may_be_tried_again(client: FlaskClient) -> None:
    status, _, problem = _post(client, b'{"text": "a"}')

    assert (status, problem["type"]) == (503, TYPE_PREFIX + "unavailable")
    assert client.get("/api/sessions").headers["Retry-After"] == "1"


def test_every_answer_carries_the_security_headers(client: FlaskClient) -> None:
    for answer in (client.get("/healthz"), client.get("/nothing"), client.post("/api/prompts")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
