"""`turnwright.toml`: what it may say, what it means, and where its mistakes are."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import get_args

import pytest

from services.config import AgentConfig, Config, load_config
from services.config.contradictions import EVENTS
from services.config.loading import FILE_LIMIT, PROMPT_LIMIT, parse_config
from services.config.schema import Policy
from services.config.triggers import ID_PATTERN, TriggerConfig
from services.errors import ConfigurationError
from services.inbound.github import USUAL as GITHUB_USUAL
from services.inbound.slack import USUAL as SLACK_USUAL
from services.schedule.names import TRIGGER_ID
from services.sessions.declared import definition_of
from services.streams import payload
from services.streams.schedule_events import (
    CATCH_UP_S,
    MOST_CATCH_UP_S,
    Definition,
    Misfire,
    Overlap,
    Sessions,
)


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str) -> Config:
    file = Path("turnwright.toml").absolute()
    file.write_text(dedent(text))
    return load_config(file)


def problems_of(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(text)
    return caught.value.problems


def test_without_a_file_there_is_one_agent_called_default() -> None:
    config = load_config(None)

    assert dict(config.agents) == {"default": AgentConfig()}
    assert config.agents["default"].tools is None
    assert config.agents["default"].model is None
    assert config == load("")


def test_agents_of_the_file_stand_beside_default() -> None:
    config = load(
        """
        [agents.helper]
        system_prompt = "You help."
        model = "openai:gpt-9"
        tools = []
        policy = "steer"
        debounce_ms = 300
        max_steps = 5
        max_turns_without_human = 2

        [agents.second]
        model = ["openai:a", "offline"]
        tools = ["clock"]
        """
    )

    assert set(config.agents) == {"default", "helper", "second"}
    helper = config.agents["helper"]
    assert (helper.system_prompt, helper.model, helper.tools) == ("You help.", ("openai:gpt-9",), ())
    assert (helper.policy, helper.debounce_ms, helper.max_steps) == ("steer", 300, 5)
    assert helper.max_turns_without_human == 2
    assert config.agents["second"].model == ("openai:a", "offline")
    assert config.agents["second"].tools == ("clock",)


def test_default_itself_can_be_changed() -> None:
    assert load('agents.default.policy = "collect"').agents["default"].policy == "collect"


def test_limits_retention_and_processors_are_read() -> None:
    config = load(
        """
        [limits]
        max_prompt_bytes = 2048
        llm_idle_s = 5
        [retention]
        idempotency_days = 1
        [[processors]]
        name = "audit"
        streams = "prompt:*"
        [[processors]]
        name = "audit"
        """
    )

    assert (config.limits.max_prompt_bytes, config.limits.llm_idle_s) == (2048, 5.0)
    assert config.limits.live_streams == 64
    assert config.retention.idempotency_days == 1
    assert [(each.name, each.streams) for each in config.processors] == [
        ("audit", "prompt:*"),
        ("audit", "*"),
    ]


def test_policies_are_those_of_the_event_vocabulary() -> None:
    assert get_args(Policy) == get_args(payload.Policy)


def test_a_trigger_of_the_file_is_one_of_the_event_vocabulary() -> None:
    text = 'id = "a"\ncron = "@daily"\nprompt = "go"'
    (config,) = load(f"[[triggers]]\n{text}").triggers
    fields = TriggerConfig.model_fields

    assert definition_of(config) == Definition(cron="@daily", prompt="go")
    assert ID_PATTERN == TRIGGER_ID
    for name, words in (("misfire", Misfire), ("overlap", Overlap), ("session", Sessions)):
        assert get_args(fields[name].annotation) == get_args(words)
    window = TriggerConfig.model_json_schema()["properties"]["catch_up_s"]
    assert (window["default"], window["maximum"]) == (CATCH_UP_S, MOST_CATCH_UP_S)


def test_a_prompt_file_is_looked_for_beside_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "helper.md").write_text("Be brief.\n", encoding="utf-8")
    (tmp_path / "turnwright.toml").write_text('agents.helper.system_prompt_file = "prompts/helper.md"')
    monkeypatch.chdir("/")

    helper = load_config(tmp_path / "turnwright.toml").agents["helper"]

    assert (helper.system_prompt, helper.system_prompt_file) == ("Be brief.\n", None)


def test_the_hash_changes_with_what_is_in_effect_and_with_nothing_else(tmp_path: Path) -> None:
    plain = load_config(None).hash
    assert load("# nothing\n[limits]\nlive_streams = 64").hash == plain
    assert load("[limits]\nlive_streams = 65").hash != plain

    (tmp_path / "a.md").write_text("one")
    first = load('agents.helper.system_prompt_file = "a.md"').hash
    assert load('agents.helper.system_prompt = "one"').hash == first
    (tmp_path / "a.md").write_text("two")
    assert load('agents.helper.system_prompt_file = "a.md"').hash != first


def test_every_mistake_is_told_at_once_with_file_and_line(tmp_path: Path) -> None:
    problems = problems_of(
        """\
        [limits]
        max_prompt_bytes = 12
        llm_idle_s = nan

        [agents."Bad Name"]
        [agents.helper]
        max_stepz = 1
        model = [
          "x",
          3,
        ]
        policy = "no"
        system_prompt_file = "nope.md"
        tools = { a = 1 }
        max_steps = true
        [[processors]]
        streams = "a"
        [[processors]]
        name = "b"
        streems = "c"
        [agent.x]
        """
    )

    assert problems == (
        "turnwright.toml:2: limits.max_prompt_bytes: must be at least 1024",
        "turnwright.toml:3: limits.llm_idle_s: must be a finite number",
        'turnwright.toml:5: agents."Bad Name": an agent\'s name is up to 64 of a-z, 0-9, _ and -, '
        "and starts with a letter",
        "turnwright.toml:7: agents.helper.max_stepz: unknown key, did you mean max_steps?",
        "turnwright.toml:8: agents.helper.model[0]: must be offline or <provider>:<model>, not 'x'",
        "turnwright.toml:8: agents.helper.model[1]: must be a text",
        "turnwright.toml:12: agents.helper.policy: "
        "must be one of 'follow_up', 'steer', 'collect' or 'silent'",
        "turnwright.toml:13: agents.helper.system_prompt_file: nope.md is not a file",
        "turnwright.toml:14: agents.helper.tools: must be a list",
        "turnwright.toml:15: agents.helper.max_steps: must be a whole number",
        "turnwright.toml:16: processors[0].name: is missing",
        "turnwright.toml:20: processors[1].streems: unknown key, did you mean streams?",
        "turnwright.toml:21: agent: unknown key, did you mean agents?",
    )


def test_what_is_taken_without_a_route_can_be_named_in_one() -> None:
    assert set(EVENTS["slack"]) >= SLACK_USUAL
    assert set(EVENTS["github"]) >= GITHUB_USUAL


@pytest.mark.parametrize("table", list(Config.model_fields))
def test_an_unknown_key_is_found_in_every_table_of_the_file(table: str) -> None:
    inner = f"{table}.x" if table in ("agents", "prices") else table
    written = (
        f"[[{table}]]\nzzz = 1" if isinstance(getattr(Config(), table), tuple) else f"[{inner}]\nzzz = 1"
    )

    assert any("zzz: unknown key" in problem for problem in problems_of(written))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("agents.a.model = []", "1: agents.a.model: may not be empty"),
        ('agents.a.model = ""', "1: agents.a.model: must be offline or"),
        ("agents = 3", "1: agents: must be a table"),
        ("agents.a = 3", "1: agents.a: must be a table"),
        ("processors = {}", "1: processors: must be a list"),
        ("[agents.a]\nmodel = 5", "2: agents.a.model: must be a model, or a list of models"),
        ("processors = [3]", "1: processors[0]: must be a table"),
        ("\n[limits]\nmax_pending_inputs = 1001", "3: limits.max_pending_inputs: must be at most 1000"),
        ("[limits]\nlive_streams = 64.0", "2: limits.live_streams: must be a whole number"),
        ("[limits]\nlive_streams = 2026-01-01", "2: limits.live_streams: must be a whole number"),
        ('[limits]\n"a\\nb" = 1', '2: limits."a\\nb": unknown key'),
        (
            "agents.a.max_token_per_hour = 5",
            "1: agents.a.max_token_per_hour: unknown key, did you mean max_tok",
        ),
        ("agents.a.max_tokens_per_hour = 0", "1: agents.a.max_tokens_per_hour: must be at least 1"),
        ("agents.a.max_usd_per_hour = 0", "1: agents.a.max_usd_per_hour: must be at least 0.001"),
        ("[prices.x]\ninput = 1\noutput = 1", "1: prices.x: must be offline or <provider>:<model>"),
        ("[prices.'a:b']\ninput = 1", '1: prices."a:b".output: is missing'),
        ("[prices.'a:b']\ninput = 1\noutput = -1", '3: prices."a:b".output: must be at least 0'),
        ("[agents.a]\napi_key = 'sk'", "2: agents.a.api_key: unknown key; secrets have no place here"),
        ("[[triggerz]]", "1: triggerz: unknown key, did you mean triggers?"),
        ("[[triggers]]\nid = 'a b'\nprompt = 'x'\nat = 1000", "2: triggers[0].id: must be up to 64 letters"),
        (
            "[[triggers]]\nid = 'a'\nat = 1000\nprompt = \"\\u0007\"",
            "4: triggers[0].prompt: must hold no control characters",
        ),
        (
            f"[[triggers]]\nid = 'a'\nat = 1000\nprompt = '{'ä' * 6145}'",
            "4: triggers[0].prompt: must not be longer than 12288 bytes",
        ),
        (
            f"[[triggers]]\nid = 'a'\nprompt = 'x'\ncron = '{'1,' * 100}1 * * * *'",
            "4: triggers[0].cron: must not be longer than 200 characters",
        ),
        ("agents.a.system_prompt_file = ''", "1: agents.a.system_prompt_file: may not be empty"),
        ("agents.a.tools = ['a b']", "1: agents.a.tools[0]: must be a name"),
        ("[telemetry]\nbagage = ['x']", "2: telemetry.bagage: unknown key, did you mean baggage?"),
        ("telemetry.baggage = ['a b']", "1: telemetry.baggage[0]: must be up to 64 letters, digits and"),
        (
            "[[routes]]\nsource = 'slack'\nplace = ['C1']",
            "3: routes[0].place: unknown key, did you mean places?",
        ),
        ("[[routes]]\nsource = 'slack'\nsession = 'a b'", "3: routes[0].session: must be up to 200"),
        (
            "[[routes]]\nsource = 'slack'\nevents = [\n'mention',\n'mentions',\n]",
            "3: routes[0].events[1]: there is no event 'mentions' there, only mention, direct, reply, message",
        ),
        (
            "[[routes]]\nsource = 'github'\nevents = ['opened']",
            "3: routes[0].events[0]: there is no event 'opened' there, only mention, assigned, labeled,",
        ),
        (
            "[[sources]]\nname = 'shop'\n[[routes]]\nsource = 'shop'\nevents = ['order.*']",
            "5: routes[0].events[0]: is a whole word",
        ),
        ("[[sources]]\nname = 'Shop'", "2: sources[0].name: a source's name is up to 32"),
        ("[[sources]]\nname = 'shop'\nordered_by = 'x'", "3: sources[0].ordered_by: unknown key, did you"),
    ],
)
def test_a_wrong_value_is_answered_with_what_would_be_right(text: str, wanted: str) -> None:
    (problem,) = problems_of(text)

    assert problem.startswith(f"turnwright.toml:{wanted}")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "agents.a.system_prompt = ''\nagents.a.system_prompt_file = 'p.md'",
            ":2: agents.a.system_prompt_file: ",
        ),
        ("[limits]\nllm_idle_s = 700", ":2: limits.llm_idle_s: must not be longer than llm_wall_s (600.0)"),
        ("[limits]\nllm_wall_s = 30", ":2: limits.llm_wall_s: must not be shorter than llm_idle_s (60.0)"),
        ("[limits]\njob_expires_s = 9", ":2: limits.job_expires_s: must not be shorter than llm_wall_s"),
        (
            "[[processors]]\nname='a'\n[[processors]]\nstreams='*'\nname='a'",
            ":3: processors[1]: is there twice",
        ),
    ],
)
def test_keys_that_contradict_are_named_even_beside_other_mistakes(
    tmp_path: Path, text: str, wanted: str
) -> None:
    (tmp_path / "p.md").write_text("x")

    alone = problems_of(text)
    assert [problem for problem in alone if wanted in problem] == list(alone)
    assert set(alone) < set(problems_of(f"{text}\n[unknown]"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = \n", 2),
        ("a = 1\na = 2\n", 2),
        ("[limits\n", 1),
        ('a = """\n\nopen', 3),
        ("a = [\n1,\n", 2),
        ("a = " + "[" * 5000, 1),
        ("a = " + "9" * 5000, 1),
        ("a = 1\x00", 1),
    ],
)
def test_text_that_is_not_toml_is_refused_with_its_line(text: str, line: int) -> None:
    (problem,) = problems_of(text)

    assert problem.startswith(f"turnwright.toml:{line}: ")


def test_bytes_that_are_not_text_are_refused_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_bytes(b"a = 1\nb = '\xff'")

    with pytest.raises(ConfigurationError, match=r"^t\.toml: t\.toml is not UTF-8 text in line 2$"):
        load_config(tmp_path / "t.toml")


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "t.toml").write_bytes(b"\xef\xbb\xbf[limits]\r\nlive_streams = 3\r\n")

    assert load_config(tmp_path / "t.toml").limits.live_streams == 3


def test_a_missing_file_or_a_folder_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigurationError, match="is not a file"):
            load_config(path)


def test_files_over_their_bound_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p.md").write_text("x" * (PROMPT_LIMIT + 1))
    (tmp_path / "t.toml").write_text("#" * (FILE_LIMIT + 1))

    with pytest.raises(ConfigurationError, match="larger than 262144 bytes"):
        parse_config("agents.a.system_prompt_file = 'p.md'", folder=tmp_path, name="t.toml")
    with pytest.raises(ConfigurationError, match="larger than 1048576 bytes"):
        load_config(tmp_path / "t.toml")


def test_a_configuration_can_not_be_changed_afterwards() -> None:
    config = load_config(None)

    with pytest.raises(ValueError, match="frozen"):
        config.limits.live_streams = 3
    with pytest.raises(TypeError):
        config.agents["x"] = AgentConfig()  # type: ignore[index]  # that is what is tried
