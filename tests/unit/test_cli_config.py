"""`turnwright config`: what it prints, where, and with which exit status."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from deploy.cli.config import config


@pytest.fixture(autouse=True)
def _clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("TURNWRIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(
        config, arguments, env={f"TURNWRIGHT_{key}": text for key, text in environ.items()}
    )


def test_check_says_what_is_in_effect_without_any_file() -> None:
    result = run("check")

    assert result.exit_code == 0
    assert "no file, built-in defaults" in result.stdout
    assert "offline" in result.stdout
    assert "tools           clock" in result.stdout


def test_check_reads_the_file_of_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "turnwright.toml").write_text("[agents.helper]\n")

    result = run("check")

    assert "default, helper" in result.stdout


def test_check_refuses_what_the_start_would_refuse_all_in_one_list(tmp_path: Path) -> None:
    file = '[agents.a]\nmodel = ["nobody:x"]\ntools = ["nothing"]\n[[processors]]\nname = "audit"\n'
    (tmp_path / "turnwright.toml").write_text(file)

    result = run("check")

    assert (result.exit_code, result.stdout) == (2, "")
    assert [word for word in ("nobody:x", "nothing", "audit") if word in result.stderr] == [
        "nobody:x",
        "nothing",
        "audit",
    ]


def test_a_key_that_is_found_and_not_used_is_spoken_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")

    assert "OPENAI_API_KEY found; set TURNWRIGHT_MODEL=openai:<model>" in run("check").stdout
    assert "OPENAI" not in run("check", MODEL="openai:gpt-9").stdout


def test_the_models_are_those_that_answer_whatever_named_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-test")
    agents = '[agents.default]\nmodel = ["openai:a", "anthropic:b"]\n[agents.clerk]\nmodel = "offline"\n'
    (tmp_path / "turnwright.toml").write_text(agents)

    told = dict(line.split(None, 1) for line in run("check").stdout.splitlines())

    assert told["model"] == "openai:a, anthropic:b"
    assert told["agents"] == "clerk (offline), default (openai:a, anthropic:b)"


def test_check_says_where_callbacks_and_telemetry_may_go(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENDPOINT", "TRACES_ENDPOINT", "METRICS_ENDPOINT"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)
    assert "callbacks       to public addresses only" in run("check").stdout
    assert "telemetry       not exported" in run("check").stdout

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:canary@127.0.0.1:4318")
    told = run("check", CALLBACK_ALLOW="10.0.0.0/8,hooks.local").stdout

    assert "callbacks       to public addresses and 10.0.0.0/8, hooks.local" in told
    assert "traces over http/protobuf, metrics over http/protobuf, with content none" in told
    assert "canary" not in told


def test_check_names_every_problem_of_environment_and_file_and_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("[limits]\nlive_stream = 1\n[agents.a]\nmax_steps = 0\n")

    result = run("check", "other.toml", SLOT="3", PORT="x")

    assert result.exit_code == 2
    assert result.stdout == ""
    assert [line.split(": ")[0] for line in result.stderr.splitlines()] == [
        "TURNWRIGHT_PORT",
        "TURNWRIGHT_SLOT",
        "other.toml:2",
        "other.toml:4",
    ]


def test_a_missing_file_is_a_problem() -> None:
    result = run("check", "none.toml")

    assert result.exit_code == 2
    assert "none.toml is not a file" in result.stderr


def test_json_output_is_one_object_in_both_cases() -> None:
    good, bad = run("check", "--json"), run("check", "--json", SLOT="3")

    report = json.loads(good.stdout)
    assert (good.exit_code, report["ok"], report["problems"]) == (0, True, [])
    assert report["settings"]["slots"] == 50
    assert list(report["config"]["agents"]) == ["default"]
    assert len(report["hash"]) == 12
    assert bad.exit_code == 2
    assert json.loads(bad.stdout) == {
        "ok": False,
        "problems": ["TURNWRIGHT_SLOT: unknown variable, did you mean TURNWRIGHT_SLOTS?"],
    }


CAPPED = '[agents.one]\nmodel = ["offline", "acme:fake-1"]\nmax_usd_per_hour = 2.5\n'


@pytest.mark.parametrize(
    ("config", "model", "agent"),
    [(CAPPED, "offline", "one"), ("[agents.two]\nmax_usd_per_hour = 1\n", "offline,acme:fake-1", "two")],
    ids=["in the file", "from the environment"],
)
def test_a_cap_in_dollars_needs_the_price_of_every_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, model: str, agent: str
) -> None:
    _install_acme(tmp_path / "site", monkeypatch)
    (tmp_path / "turnwright.toml").write_text(config)

    result = run("check", MODEL=model)

    assert result.exit_code == 2
    assert f"agent {agent}: max_usd_per_hour needs the price of acme:fake-1" in result.stderr


def test_a_configured_price_is_a_known_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install_acme(tmp_path / "site", monkeypatch)
    (tmp_path / "turnwright.toml").write_text(CAPPED + '[prices."acme:fake-1"]\ninput = 1\noutput = 2.5\n')

    assert run("check").exit_code == 0


@pytest.mark.parametrize("arguments", [("check",), ("check", "--json")])
def test_secrets_are_not_shown(arguments: tuple[str, ...]) -> None:
    result = run(*arguments, API_TOKEN="tw_canary", STORE_URL="redis://u:canary@store:6379/1")

    assert result.exit_code == 0
    assert "redis://store:6379/1" in result.stdout
    assert "canary" not in result.output


def test_schema_prints_a_valid_json_schema() -> None:
    result = run("schema")

    assert result.exit_code == 0
    jsonschema.Draft202012Validator.check_schema(json.loads(result.stdout))


def _install_acme(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider `acme`, as an installed package brings it."""
    (site / "acme-1.dist-info").mkdir(parents=True)
    (site / "acme-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    (site / "acme-1.dist-info" / "entry_points.txt").write_text(
        "[turnwright.providers]\nacme = acme_of_a_test:make\n"
    )
    (site / "acme_of_a_test.py").write_text(
        "from services.llm.offline import OfflineProvider\n\ndef make(model): return OfflineProvider()\n"
    )
    monkeypatch.syspath_prepend(str(site))


def test_check_says_which_channels_are_on_and_what_looks_unintended() -> None:
    slack = {"SLACK_SIGNING_SECRET": "s" * 32, "SLACK_BOT_TOKEN": "xoxb-canary"}

    lines = run("check", **slack).stdout.splitlines()
    told = json.loads(run("check", "--json", **slack).stdout)["channels"]

    (line,) = (line for line in lines if line.startswith("slack "))
    assert "on, webhooks to /webhooks/slack/events; agent default answers with the offline model" in line
    assert any(line.startswith("github ") and "off: not set: TURNWRIGHT_GITHUB_" in line for line in lines)
    assert (told["slack"]["on"], told["github"]["on"]) == (True, False)
    assert "canary" not in json.dumps(told)


def test_check_says_which_declared_triggers_can_not_be_answered_where_they_are_to_be(tmp_path: Path) -> None:
    trigger = '[[triggers]]\nid = "report"\ncron = "@daily"\nprompt = "Report"\nanswer_in = "slack:C0123"\n'
    (tmp_path / "turnwright.toml").write_text(trigger)

    said = "trigger report is not in force: answer_in: slack is off: not set: TURNWRIGHT_SLACK_SIGNING_SECRET"
    assert said in run("check").stdout
    (told,) = json.loads(run("check", "--json").stdout)["triggers"]
    assert told.startswith(said)
    on = run("check", SLACK_SIGNING_SECRET="s" * 32, SLACK_BOT_TOKEN="xoxb-1-2")
    assert "not in force" not in on.stdout
