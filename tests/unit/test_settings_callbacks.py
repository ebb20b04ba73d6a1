"""Settings of callbacks: signing secrets, which are never shown, and what may be reached besides the public."""

from __future__ import annotations

import base64
from ipaddress import ip_network
from pathlib import Path

import pytest

from services.errors import ConfigurationError
from services.settings import load_settings
from services.variables import signing_key

FIRST = "whsec_" + base64.b64encode(b"f" * 24).decode()
SECOND = "whsec_" + base64.b64encode(b"s" * 64).decode()


def problem_of(**environ: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({f"TURNWRIGHT_{name}": value for name, value in environ.items()})
    (problem,) = caught.value.problems
    return problem


def test_a_comma_list_of_secrets_is_a_rotation() -> None:
    settings = load_settings({"TURNWRIGHT_CALLBACK_SECRET": f"{FIRST}, {SECOND}"})

    assert [signing_key(each.reveal()) for each in settings.callback_secrets] == [b"f" * 24, b"s" * 64]
    assert FIRST not in repr(settings)


def test_a_secret_may_come_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{FIRST}\n")

    settings = load_settings({"TURNWRIGHT_CALLBACK_SECRET_FILE": str(tmp_path / "secret")})

    assert [each.reveal() for each in settings.callback_secrets] == [FIRST]


def test_without_one_there_is_none_here() -> None:
    assert load_settings({}).callback_secrets == ()
    assert load_settings({}).callback_allow == ()


@pytest.mark.parametrize(
    "secret",
    [
        "canary",
        "whsec_",
        "whsec_canary",
        "whsec_" + base64.b64encode(b"canary" * 3).decode(),
        "whsec_" + base64.b64encode(b"canary" * 11).decode(),
        FIRST.removeprefix("whsec_"),
        FIRST.replace("Z", "é"),
        f"{FIRST},canary",
    ],
)
def test_a_wrong_secret_is_refused_without_being_shown(secret: str) -> None:
    problem = problem_of(CALLBACK_SECRET=secret)

    assert problem == "TURNWRIGHT_CALLBACK_SECRET: must be whsec_<base64 of 24 to 64 bytes>"


def test_hosts_addresses_and_networks_may_be_allowed() -> None:
    settings = load_settings({"TURNWRIGHT_CALLBACK_ALLOW": "Hooks.Internal, 10.0.0.0/8, ::1, localhost"})

    assert settings.callback_allow == (
        "hooks.internal",
        ip_network("10.0.0.0/8"),
        ip_network("::1"),
        "localhost",
    )


@pytest.mark.parametrize(
    "text", ["http://x", "a b", "10.1", "10.0.0.1/8", "x:80", "*.example.org", "[::1]", "x."]
)
def test_what_is_neither_is_refused(text: str) -> None:
    assert "must be a host name, an IP address or a network" in problem_of(CALLBACK_ALLOW=text)
