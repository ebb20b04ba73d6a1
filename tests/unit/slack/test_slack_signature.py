"""Slack's signatures: only what it signed, only now, whatever else is sent."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_sdk.signature import SignatureVerifier

from services.channels.slack.signature import (
    SIGNATURE,
    TIMESTAMP,
    BadSlackSignature,
    sign,
    verify,
)
from services.variables import Secret

OLD, NEW = "old-secret", "new-secret"
NOW = 1_764_000_000
BODY = b'{"type":"event_callback"}'


def _headers(body: bytes = BODY, *, secret: str = NEW, at: int = NOW) -> list[tuple[str, str]]:
    return [(TIMESTAMP, str(at)), (SIGNATURE, sign(secret, str(at), body))]


def _refusal(headers: list[tuple[str, str]], body: bytes = BODY, *, secrets: tuple[str, ...] = (NEW,)) -> str:
    with pytest.raises(BadSlackSignature) as caught:
        verify([Secret(each) for each in secrets], headers, body, now_s=NOW)
    return caught.value.reason


@given(st.text(max_size=200), st.text(alphabet=string.hexdigits, min_size=1, max_size=40))
def test_what_is_signed_is_what_slacks_own_library_accepts(text: str, secret: str) -> None:
    expected = SignatureVerifier(secret).generate_signature(timestamp="1764000000", body=text)

    assert expected == sign(secret, "1764000000", text.encode())


@given(st.binary(max_size=200), st.integers(-300, 300))
def test_what_slack_signed_lately_is_accepted(body: bytes, age_s: int) -> None:
    verify([Secret(NEW)], _headers(body, at=NOW - age_s), body, now_s=NOW)


@pytest.mark.parametrize("signer", [OLD, NEW])
def test_while_a_secret_is_exchanged_both_are_good(signer: str) -> None:
    verify([Secret(NEW), Secret(OLD)], _headers(secret=signer), BODY, now_s=NOW)


def test_names_of_headers_come_in_any_case() -> None:
    verify([Secret(NEW)], [(name.title(), value) for name, value in _headers()], BODY, now_s=NOW)


@given(st.binary(min_size=1, max_size=100), st.data())
def test_a_single_bit_makes_it_somebody_elses(body: bytes, data: st.DataObject) -> None:
    bit = data.draw(st.integers(0, len(body) * 8 - 1))
    forged = bytearray(body)
    forged[bit // 8] ^= 1 << (bit % 8)

    assert _refusal(_headers(body), bytes(forged)) == "mismatch"


@given(st.integers(0, 63), st.sampled_from("0123456789abcdef"))
def test_a_single_digit_makes_it_another_signature(at: int, digit: str) -> None:
    (_, timestamp), (_, signature) = _headers()
    forged = signature[: 3 + at] + digit + signature[4 + at :]
    if forged != signature:
        assert _refusal([(TIMESTAMP, timestamp), (SIGNATURE, forged)]) == "mismatch"


@pytest.mark.parametrize(("age_s", "reason"), [(301, "too_old"), (-301, "too_new"), (10**9, "too_old")])
def test_what_was_signed_long_ago_or_in_the_future_is_refused(age_s: int, reason: str) -> None:
    assert _refusal(_headers(at=NOW - age_s)) == reason


def test_the_moment_is_part_of_what_is_signed() -> None:
    assert _refusal([(TIMESTAMP, str(NOW + 1)), _headers()[1]]) == "mismatch"


def test_without_a_secret_nothing_is_accepted() -> None:
    assert _refusal(_headers(), secrets=()) == "mismatch"


@pytest.mark.parametrize(
    "timestamp",
    [
        "now",
        "1764000000.5",
        "-1764000000",
        "9" * 5000,
        "１７６４００００００",
        "1764000000\n",
        " 1764000000",
        "\ud800",
    ],
)
def test_a_timestamp_that_is_no_number_is_refused(timestamp: str) -> None:
    assert _refusal([(TIMESTAMP, timestamp), _headers()[1]]) == "malformed"


@pytest.mark.parametrize("missing", [TIMESTAMP, SIGNATURE])
def test_a_header_that_is_not_there_is_missed(missing: str) -> None:
    given_headers = [(name, value) for name, value in _headers() if name != missing]

    assert _refusal(given_headers) == "missing"
    assert _refusal([*given_headers, (missing, "")]) == "missing"


@pytest.mark.parametrize("doubled", [TIMESTAMP, SIGNATURE])
def test_a_header_that_comes_twice_is_refused(doubled: str) -> None:
    again = next(each for each in _headers() if each[0] == doubled)

    assert _refusal([*_headers(), again]) == "repeated"


@given(st.text(max_size=100), st.text(max_size=100), st.binary(max_size=50))
@settings(max_examples=300)
def test_no_header_whatever_makes_it_raise_anything_else(timestamp: str, signature: str, body: bytes) -> None:
    given_headers = [(TIMESTAMP, timestamp), (SIGNATURE, signature)]

    assert _refusal(given_headers, body) in {"missing", "malformed", "too_old", "too_new", "mismatch"}
