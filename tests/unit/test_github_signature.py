"""A webhook is from GitHub when its raw body is signed with a secret of ours; nothing else gets through."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.channels.github.signature import refusal_of, signature_of
from services.variables import Secret

OLD, NEW = Secret("old secret"), Secret("new secret")
HEADER = "X-Hub-Signature-256"


def test_the_example_of_githubs_documentation_is_accepted() -> None:
    secret = Secret("It's a Secret to Everybody")
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

    assert refusal_of([secret], {HEADER: signature}, b"Hello, World!") is None


@pytest.mark.parametrize("signer", [OLD, NEW])
def test_while_a_secret_is_rotated_either_is_accepted(signer: Secret) -> None:
    assert refusal_of([OLD, NEW], {HEADER: signature_of(signer, b"{}")}, b"{}") is None


def test_without_a_secret_nothing_is_accepted() -> None:
    assert refusal_of([], {HEADER: signature_of(OLD, b"{}")}, b"{}") == "mismatch"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "missing"),
        ({HEADER: ""}, "missing"),
        ({"X-Hub-Signature": "sha1=" + "0" * 40}, "missing"),
        ({HEADER: "sha1=" + "0" * 40}, "malformed"),
        ({HEADER: "0" * 64}, "malformed"),
        ({HEADER: "sha256="}, "malformed"),
        ({HEADER: "sha256=" + "0" * 63}, "malformed"),
        ({HEADER: "sha256=" + "0" * 65}, "malformed"),
        ({HEADER: "sha256=" + "A" * 64}, "malformed"),
        ({HEADER: "sha256=" + "\u0660" * 64}, "malformed"),
        ({HEADER: "sha256=" + "0" * 64 + "\n"}, "malformed"),
        ({HEADER: "sha256=" + "0" * 64}, "mismatch"),
    ],
)
def test_what_is_no_signature_is_refused_with_a_reason(headers: dict[str, str], reason: str) -> None:
    assert refusal_of([NEW], headers, b"{}") == reason


@given(body=st.binary(), at=st.integers(min_value=0), bit=st.integers(min_value=0, max_value=7))
def test_a_body_that_differs_in_one_bit_is_refused(body: bytes, at: int, bit: int) -> None:
    signature = signature_of(NEW, body)
    if body:
        changed = bytearray(body)
        changed[at % len(body)] ^= 1 << bit
        assert refusal_of([NEW], {HEADER: signature}, bytes(changed)) == "mismatch"

    assert refusal_of([NEW], {HEADER: signature}, body) is None
    assert refusal_of([NEW], {HEADER: signature}, body + b"\0") == "mismatch"


@given(value=st.text(), name=st.sampled_from([HEADER, HEADER.lower(), HEADER.upper()]), body=st.binary())
def test_no_header_whatever_it_holds_raises(value: str, name: str, body: bytes) -> None:
    assert refusal_of([OLD, NEW], {name: value, "other\ud800": "\udcff"}, body) is not None


@given(secret=st.text(min_size=1, alphabet=st.characters(codec="utf-8")), body=st.binary())
def test_signatures_are_those_of_everybody_else(secret: str, body: bytes) -> None:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()

    assert signature_of(Secret(secret), body) == f"sha256={digest}"
