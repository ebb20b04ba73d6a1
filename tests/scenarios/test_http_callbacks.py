"""The callback of a prompt: what is accepted, what is refused at once, and who gets to see the address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.channels.http.secrets import SigningSecrets
from services.diagnosis.checkup import check_up
from services.errors import Unavailable
from services.settings import load_settings
from services.streams.store import Store
from services.streams.vocabulary import InputReceived
from services.variables import Secret, signing_key
from tests.scenarios.http_stage import Stage, opened_stage, store_url

URL = "https://hooks.example.org:8443/T1/canary-of-the-path?token=canary-of-the-query"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage() as opened:
        yield opened


def refusal(stage: Stage, callback: object, **fields: object) -> dict[str, object]:
    """Send a prompt whose callback must be refused: the problem."""
    answer = stage.call("POST", "/api/prompts", json={"text": "hello", "callback": callback, **fields})
    assert answer.status_code == 422, answer.text
    problem: dict[str, object] = answer.json or {}
    assert problem["field"] == "callback"
    return problem


def test_a_callback_is_stored_with_its_input(stage: Stage) -> None:
    accepted = stage.prompt("hello", callback=URL)

    received = stage.events(str(accepted["session"]))[1].decode(InputReceived)
    assert received == InputReceived(text="hello", callback=URL)


def test_the_callback_belongs_to_what_an_idempotency_key_stands_for(stage: Stage) -> None:
    first = stage.prompt("hello", key="k", callback=URL)
    assert stage.prompt("hello", key="k", callback=URL) == first | {"duplicate": True}

    for other in ({"callback": URL + "2"}, {}):
        body = {"text": "hello", **other}
        answer = stage.call("POST", "/api/prompts", json=body, headers={"Idempotency-Key": "k"})
        assert (answer.status_code, (answer.json or {})["type"]) == (409, "urn:turnwright:problem:key-reused")


def told_of_callbacks(environ: dict[str, str]) -> str:
    """What the checkup says of callbacks."""
    return next(each.text for each in check_up(load_settings(environ)) if each.part == "callbacks")


@pytest.mark.parametrize(
    ("callback", "reason"),
    [
        ("http://127.0.0.1/canary", "public internet"),
        ("http://localhost:8080/canary", "public internet"),
        ("http://169.254.169.254/canary", "public internet"),
        ("http://[::ffff:10.0.0.1]/canary", "public internet"),
        ("http://2130706433/canary", "four plain numbers"),
        ("https://user:canary@example.org/", "no user or password"),
        ("https://example.org/#canary", "no fragment"),
        ("https://example.org:25/canary", "port 80, 443"),
        ("ftp://example.org/canary", "http:// or https://"),
        ("https://bücher.example/canary", "plain ASCII"),
        ("canary", "http:// or https://"),
        ("", "length >= 1"),
        ("https://example.org/" + "canary" * 400, "length <= 2048"),
        (7, "Expected"),
    ],
)
def test_an_address_no_callback_may_go_to_is_refused_at_once(
    stage: Stage, callback: object, reason: str
) -> None:
    problem = refusal(stage, callback)

    assert reason in str(problem["detail"])
    assert "canary" not in str(problem)


def test_a_name_is_not_resolved_on_the_way_in(stage: Stage) -> None:
    stage.prompt("hello", callback="http://there-is-no-such-name.invalid/hook")


def test_a_silent_prompt_takes_no_callback(stage: Stage) -> None:
    assert "silent" in str(refusal(stage, URL, policy="silent")["detail"])


def test_events_show_where_a_callback_goes_and_not_its_path(stage: Stage) -> None:
    session = str(stage.prompt("hello", callback=URL)["session"])

    for text in (
        stage.call("GET", f"/api/sessions/{session}/events").text,
        stage.call("GET", f"/api/sessions/{session}").text,
        stage.call("GET", f"/api/sessions/{session}/inputs").text,
        stage.call("GET", f"/api/sessions/{session}/why").text,
    ):
        assert "canary" not in text
    payload = stage.get(f"/api/sessions/{session}/events")["events"][1]["payload"]
    assert payload == {"text": "hello", "callback": "https://hooks.example.org:8443/…"}


def test_a_live_stream_shows_no_more_of_it(stage: Stage) -> None:
    session = str(stage.prompt("hello", callback=URL)["session"])

    with stage.served() as url, stage.follow(url, session) as live:
        live.event()
        assert live.event()["payload"]["callback"] == "https://hooks.example.org:8443/…"


def test_replacing_an_input_keeps_its_callback(stage: Stage) -> None:
    accepted = stage.prompt("hello", callback=URL)
    session, offset = str(accepted["session"]), accepted["offset"]

    answer = stage.call("PATCH", f"/api/sessions/{session}/inputs/{offset}", json={"text": "other"})

    assert answer.status_code == 200
    assert stage.events(session)[1].decode(InputReceived).callback == URL


def test_the_field_is_in_the_openapi_document(stage: Stage) -> None:
    shape = stage.get("/openapi.json")["components"]["schemas"]["PromptBody"]

    assert shape["properties"]["callback"]["anyOf"][0] == {
        "type": "string",
        "minLength": 1,
        "maxLength": 2048,
    }


def test_a_secret_is_made_once_and_every_process_signs_with_it(stage: Stage, tmp_path: Path) -> None:
    key = stage.log.keys.callback_secrets
    first, second = (SigningSecrets(stage.store, key) for _ in range(2))

    first.ensure(configured=(), copy=tmp_path / "a" / "callback-secret")
    second.ensure(configured=(), copy=tmp_path / "b" / "callback-secret")

    assert first.keys() == second.keys()
    copies = {(tmp_path / name / "callback-secret").read_text() for name in "ab"}
    assert [signing_key(text.strip()) for text in copies] == list(first.keys())
    assert (tmp_path / "a" / "callback-secret").stat().st_mode & 0o777 == 0o600


def test_a_store_that_lost_the_secret_gets_it_back_from_the_copy(stage: Stage, tmp_path: Path) -> None:
    key, copy = stage.log.keys.callback_secrets, tmp_path / "callback-secret"
    SigningSecrets(stage.store, key).ensure(configured=(), copy=copy)
    before = copy.read_text()

    again = SigningSecrets(stage.store, f"{key}-of-an-empty-store")
    again.ensure(configured=(), copy=copy)

    assert copy.read_text() == before
    assert list(again.keys()) == [signing_key(before.strip())]


def test_configured_secrets_take_the_place_of_the_stores(stage: Stage, tmp_path: Path) -> None:
    key, copy = stage.log.keys.callback_secrets, tmp_path / "callback-secret"
    other = SigningSecrets(stage.store, key, cache_s=0)
    other.ensure(configured=(), copy=copy)
    secrets = load_settings(
        {"TURNWRIGHT_CALLBACK_SECRET": f"whsec_{'a' * 32},whsec_{'b' * 64}"}
    ).callback_secrets

    SigningSecrets(stage.store, key).ensure(configured=secrets, copy=copy)

    assert list(other.keys()) == [signing_key(each.reveal()) for each in secrets]
    assert re.fullmatch(r"whsec_a+,whsec_b+\n", copy.read_text())


def test_the_doctor_says_where_the_secret_lies_and_never_what_it_is(stage: Stage, tmp_path: Path) -> None:
    keys = stage.log.keys
    environ = {
        "TURNWRIGHT_HOME": str(tmp_path),
        "TURNWRIGHT_STORE_URL": store_url(),
        "TURNWRIGHT_NAMESPACE": keys.namespace,
    }
    assert "no secret yet" in told_of_callbacks(environ)

    SigningSecrets(stage.store, keys.callback_secrets).ensure(
        configured=(), copy=tmp_path / "callback-secret"
    )
    told = told_of_callbacks(environ)
    assert str(tmp_path / "callback-secret") in told
    assert "whsec_" not in told

    told = told_of_callbacks(environ | {"TURNWRIGHT_CALLBACK_SECRET": f"whsec_{'a' * 32}"})
    assert "1 secret(s) of TURNWRIGHT_CALLBACK_SECRET" in told


def test_signing_goes_on_while_the_store_has_nothing_to_give(stage: Stage, tmp_path: Path) -> None:
    secrets = SigningSecrets(stage.store, stage.log.keys.callback_secrets, cache_s=0)
    secrets.ensure(configured=[Secret(f"whsec_{'a' * 32}")], copy=tmp_path / "copy")
    keys = secrets.keys()
    away = SigningSecrets(Store("unix:///nonexistent/store", retries=0), "key")

    with pytest.raises(Unavailable):
        away.keys()
    stage.store.client.set(stage.log.keys.callback_secrets, b"damaged")
    assert secrets.keys() == keys
