"""Settings: what the environment may say, and that every mistake is named at once."""

from __future__ import annotations

import os
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import ConfigurationError
from services.settings import Settings, Timings, VendorAccess, find_config, load_settings
from services.variables import Secret


def problems_of(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environ)
    return caught.value.problems


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_an_empty_environment_gives_the_documented_defaults(tmp_path: Path) -> None:
    settings = load_settings({})

    assert settings.home == tmp_path / ".turnwright"
    assert (settings.host, settings.port) == ("127.0.0.1", None)
    assert (settings.store_url, settings.broker_url) == (None, None)
    assert (settings.namespace, settings.slots, settings.models) == ("turnwright", 50, ("offline",))
    assert settings.workers >= 1
    assert (settings.log_level, settings.log_format) == ("info", "json")
    assert settings.timings == Timings()
    assert settings.test_shortcuts
    assert not settings.metrics_open


def test_every_variable_arrives_as_a_parsed_value(tmp_path: Path) -> None:
    (tmp_path / "tw.toml").touch()
    (tmp_path / "faults").mkdir()
    settings = load_settings(
        {
            "TURNWRIGHT_HOME": "data",
            "TURNWRIGHT_HOST": "::1",
            "TURNWRIGHT_PORT": "9000",
            "TURNWRIGHT_STORE_URL": "rediss://user:pw@store:6380/1",
            "TURNWRIGHT_BROKER_URL": "unix:///run/broker.sock",
            "TURNWRIGHT_NAMESPACE": "prod-2",
            "TURNWRIGHT_CONFIG": "tw.toml",
            "TURNWRIGHT_API_TOKEN": "tw_0123456789",
            "TURNWRIGHT_URL": "http://127.0.0.1:9000/",
            "TURNWRIGHT_TRUSTED_PROXIES": "10.0.0.1, fd00::/8",
            "TURNWRIGHT_PUBLIC_URL": "https://agents.example.org/",
            "TURNWRIGHT_WORKERS": "3",
            "TURNWRIGHT_SLOTS": "20",
            "TURNWRIGHT_MODEL": "openai:gpt-9, offline",
            "TURNWRIGHT_METRICS_OPEN": "1",
            "TURNWRIGHT_LOG_LEVEL": "FATAL",
            "TURNWRIGHT_LOG_FORMAT": "console",
            "TURNWRIGHT_TEST_STORE_URL": "redis://127.0.0.1",
            "TURNWRIGHT_TEST_FAULTS": "faults",
            "TURNWRIGHT_TEST_SHORTCUTS": "0",
            "TURNWRIGHT_TEST_TIMINGS": "lease_ttl_s=3,lease_renew_s=0.5",
            "OPENAI_API_KEY": "sk-1",
            "ANTHROPIC_BASE_URL": "http://models.internal:8000/",
        }
    )

    assert settings.home == tmp_path / "data"
    assert (settings.host, settings.port) == ("::1", 9000)
    assert settings.store_url == "rediss://user:pw@store:6380/1"
    assert settings.broker_url == "unix:///run/broker.sock"
    assert settings.config_path == tmp_path / "tw.toml"
    assert settings.api_token is not None
    assert settings.api_token.reveal() == "tw_0123456789"
    assert settings.url == "http://127.0.0.1:9000"
    assert settings.public_url == "https://agents.example.org"
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.1/32", "fd00::/8"]
    assert (settings.workers, settings.slots) == (3, 20)
    assert settings.models == ("openai:gpt-9", "offline")
    assert settings.metrics_open
    assert settings.log_level == "fatal"
    assert settings.test_faults == tmp_path / "faults"
    assert not settings.test_shortcuts
    assert settings.timings == Timings(lease_ttl_s=3, lease_renew_s=0.5)
    assert settings.vendors["openai"] == VendorAccess(key=Secret("sk-1"))
    assert settings.vendors["anthropic"] == VendorAccess(base_url="http://models.internal:8000")


def test_a_vendors_key_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-file\n")
    settings = load_settings({"OPENAI_API_KEY_FILE": str(tmp_path / "key")})
    assert settings.vendors["openai"].key == Secret("sk-file")


def test_what_is_wrong_with_a_vendors_variables_is_kept_for_who_uses_it() -> None:
    settings = load_settings({"OPENAI_BASE_URL": "localhost", "ANTHROPIC_API_KEY_FILE": "/nowhere"})
    assert settings.vendors["openai"].problems[0].startswith("OPENAI_BASE_URL: must be an address")
    assert settings.vendors["anthropic"].problems[0].startswith("ANTHROPIC_API_KEY_FILE: /nowhere")


def test_all_mistakes_are_told_at_once_each_with_its_variable() -> None:
    problems = problems_of(
        {
            "TURNWRIGHT_PORT": "http",
            "TURNWRIGHT_SLOTS": "9",
            "TURNWRIGHT_NAMESPACE": "-x",
            "TURNWRIGHT_X": "1",
        }
    )

    names = [problem.partition(":")[0] for problem in problems]
    assert names == ["TURNWRIGHT_PORT", "TURNWRIGHT_NAMESPACE", "TURNWRIGHT_SLOTS", "TURNWRIGHT_X"]


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("HOST", "a b", "IP address or a host name"),
        ("PORT", "0", "1 to 65535"),
        ("PORT", "8_0", "1 to 65535"),
        ("PORT", "²", "1 to 65535"),
        ("STORE_URL", "http://x", "redis://"),
        ("STORE_URL", "unix://tmp/x.sock", "absolute path"),
        ("STORE_URL", "redis:///0", "name a host"),
        ("STORE_URL", "redis://x:99999", "valid host and port"),
        ("STORE_URL", "redis://x/zero", "number of a database"),
        ("NAMESPACE", "Prod", "a-z"),
        ("NAMESPACE", "n" * 33, "1 to 32"),
        ("CONFIG", "nowhere.toml", "existing file"),
        ("API_TOKEN", "two words", "without spaces"),
        ("URL", "example.org", "https://"),
        ("URL", "https://user@example.org", "no user"),
        ("PUBLIC_URL", "agents.example.org", "like https://"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "10.0.0.0/8"),
        ("TRUSTED_PROXIES", "10.0.0.1,,", "empty entries"),
        ("WORKERS", "0", "1 to 256"),
        ("MODEL", "gpt-9", "<provider>:<model>"),
        ("METRICS_OPEN", "yes", "1 or 0"),
        ("LOG_LEVEL", "verbose", "debug, info, warning, error, fatal"),
        ("LOG_FORMAT", "xml", "console, json"),
        ("TEST_FAULTS", "nowhere", "existing folder"),
        ("TEST_TIMINGS", "lease=3", "lease_ttl_s"),
        ("TEST_TIMINGS", "relay_s=soon", "seconds"),
        ("TEST_TIMINGS", "lease_ttl_s=2", "shorter than lease_ttl_s"),
    ],
)
def test_a_wrong_value_is_answered_with_what_would_be_right(name: str, text: str, wanted: str) -> None:
    (problem,) = problems_of({f"TURNWRIGHT_{name}": text})

    assert problem.startswith(f"TURNWRIGHT_{name}: ")
    assert wanted in problem


def test_an_unknown_name_suggests_the_nearest_known_one() -> None:
    assert problems_of({"TURNWRIGHT_LOGLEVEL": "info"}) == (
        "TURNWRIGHT_LOGLEVEL: unknown variable, did you mean TURNWRIGHT_LOG_LEVEL?",
    )


@pytest.mark.parametrize("name", ["SLACK_USER_TOKEN", "SOURCE__SECRET", "PORT_FILE"])
def test_a_name_of_no_use_is_unknown(name: str) -> None:
    assert "unknown variable" in problems_of({f"TURNWRIGHT_{name}": "x"})[0]


def test_other_programs_variables_are_ignored() -> None:
    load_settings({"TURNWRIGHTER": "x", "turnwright_port": "x", "PATH": "/bin"})


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load_settings({"TURNWRIGHT_PORT": "", "TURNWRIGHT_API_TOKEN": " "}) == load_settings({})


def test_a_reachable_host_needs_a_token_of_ones_own() -> None:
    assert "TURNWRIGHT_API_TOKEN" in problems_of({"TURNWRIGHT_HOST": "0.0.0.0"})[0]
    assert "TURNWRIGHT_API_TOKEN" in problems_of({"TURNWRIGHT_HOST": "web", "TURNWRIGHT_API_TOKEN": " "})[0]
    load_settings({"TURNWRIGHT_HOST": "0.0.0.0", "TURNWRIGHT_API_TOKEN": "tw_0123456789abc"})


def test_a_token_that_other_machines_could_guess_is_refused() -> None:
    (problem,) = problems_of({"TURNWRIGHT_HOST": "0.0.0.0", "TURNWRIGHT_API_TOKEN": "x" * 15})

    assert problem.startswith("TURNWRIGHT_API_TOKEN: ")
    assert "at least 16 characters" in problem
    assert "x" * 15 not in problem
    load_settings({"TURNWRIGHT_HOST": "127.0.0.1", "TURNWRIGHT_API_TOKEN": "x"})
    load_settings({"TURNWRIGHT_HOST": "localhost"})


def test_a_secret_may_come_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("tw_from_file\n")

    settings = load_settings({"TURNWRIGHT_API_TOKEN_FILE": "token"})

    assert settings.api_token is not None
    assert settings.api_token.reveal() == "tw_from_file"


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("b")

    (problem,) = problems_of({"TURNWRIGHT_API_TOKEN": "a", "TURNWRIGHT_API_TOKEN_FILE": "token"})

    assert problem.startswith("TURNWRIGHT_API_TOKEN: is given twice")


@pytest.mark.parametrize(
    ("content", "wanted"), [(None, "can not be read"), (b"\n", "is empty"), (b"\xff", "not UTF-8")]
)
def test_an_unusable_secret_file_is_named(tmp_path: Path, content: bytes | None, wanted: str) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)

    (problem,) = problems_of({"TURNWRIGHT_API_TOKEN_FILE": "token"})

    assert problem.startswith("TURNWRIGHT_API_TOKEN_FILE: token ")
    assert wanted in problem


def test_secrets_are_neither_in_repr_nor_in_str() -> None:
    settings = load_settings(
        {
            "TURNWRIGHT_API_TOKEN": "tw_canary",
            "TURNWRIGHT_STORE_URL": "redis://:canary@store",
            "TURNWRIGHT_TEST_STORE_URL": "redis://:canary@store",
            "OPENAI_API_KEY": "sk-canary",
        }
    )

    assert "canary" not in f"{settings!r} {settings} {settings.api_token!r} {settings.api_token}"


@pytest.mark.parametrize(
    "text", ["http://:canary@x", "redis://:canary@", "redis://:canary@x/y", "redis://:canary@x:port"]
)
def test_a_complaint_about_a_secret_does_not_repeat_it(text: str) -> None:
    assert "canary" not in problems_of({"TURNWRIGHT_STORE_URL": text})[0]


def test_a_shared_store_is_the_broker_too_unless_another_is_named() -> None:
    store = {"TURNWRIGHT_STORE_URL": "redis://store"}

    assert load_settings(store).broker_url == "redis://store"
    assert load_settings({**store, "TURNWRIGHT_BROKER_URL": "redis://b"}).broker_url == "redis://b"
    assert load_settings({"TURNWRIGHT_BROKER_URL": "redis://b"}).store_url is None


def test_a_configuration_file_in_the_working_directory_is_found(tmp_path: Path) -> None:
    assert load_settings({}).config_path is None

    (tmp_path / "turnwright.toml").touch()

    assert load_settings({}).config_path == tmp_path / "turnwright.toml"
    assert find_config({"TURNWRIGHT_PORT": "wrong"}) == tmp_path / "turnwright.toml"


def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".turnwright").touch()

    assert "must be a folder" in problems_of({})[0]


def test_a_working_directory_that_is_gone_is_a_problem_not_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gone := tmp_path / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert problems_of({})[0].startswith("TURNWRIGHT_HOME: ")


NAMES = [f"TURNWRIGHT_{name.upper()}" for name in Settings.__dataclass_fields__] + [
    "TURNWRIGHT_CONFIG",
    "TURNWRIGHT_MODEL",
    "TURNWRIGHT_API_TOKEN_FILE",
    "TURNWRIGHT_TEST_TIMINGS",
]
TEXTS = st.text(st.sampled_from(string.printable + "é²\x00\u2028\ud800"))


@given(st.dictionaries(st.sampled_from(NAMES), TEXTS))
def test_no_environment_ends_in_anything_but_settings_or_named_problems(environ: dict[str, str]) -> None:
    problems: tuple[str, ...] = ()
    try:
        load_settings(environ)
    except ConfigurationError as error:
        problems = error.problems or ("",)

    assert all(problem.startswith("TURNWRIGHT_") for problem in problems)


def test_the_real_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TURNWRIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TURNWRIGHT_SLOTS", "33")

    assert load_settings().slots == 33
