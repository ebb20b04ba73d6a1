"""From the file to a `Config`: reads, checks all of it, and names every mistake with its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from services.config.contradictions import contradictions
from services.config.problems import Problem, problems_of
from services.config.schema import AgentConfig, Config
from services.config.toml_lines import LineMap
from services.errors import ConfigurationError

FILE_LIMIT = 1_048_576
PROMPT_LIMIT = 262_144

_AT_LINE = re.compile(r"^(.*) \(at line (\d+), column \d+\)$", re.DOTALL)


def load_config(path: Path | None) -> Config:
    """The configuration in effect; `None` is an empty file. There always is an agent `default`.

    Raises: ConfigurationError, with every problem at once, each with file and line.
    """
    if path is None:
        return parse_config("", folder=Path(), name="")
    name = _shown(path)
    try:
        text = _read(path, FILE_LIMIT)
    except ValueError as wrong:
        raise ConfigurationError(f"{name}: {wrong}") from None
    return parse_config(text, folder=path.parent, name=name)


def parse_config(text: str, *, folder: Path, name: str) -> Config:
    """The configuration that `text` describes; `name` is what problems call the file, prompt files are
    looked for in `folder`. Raises: ConfigurationError.
    """
    document = _parse_toml(text, name)
    prompts = _prompts(document, folder)
    problems = [found for found in prompts.values() if isinstance(found, Problem)]
    problems += contradictions(document)
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        problems += problems_of(error, document)
    else:
        if not problems:
            return _effective(config, {agent: str(prompt) for agent, prompt in prompts.items()})
    lines = LineMap(text)
    placed = sorted((lines.line_of(problem.path), str(problem)) for problem in problems)
    raise ConfigurationError(*(f"{name}:{line}: {words}" for line, words in placed))


def _parse_toml(text: str, name: str) -> dict[str, object]:
    last_line = text.rstrip("\n").count("\n") + 1
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigurationError(f"{name}:1: is nested too deeply") from None
    except ValueError as error:
        placed = _AT_LINE.match(str(error))
        line, words = (placed[2], placed[1]) if placed else (last_line, str(error).split(" (at ")[0])
        raise ConfigurationError(f"{name}:{line}: not valid TOML: {words}") from None


def _prompts(document: Mapping[str, object], folder: Path) -> dict[str, str | Problem]:
    return {
        agent: _prompt(("agents", agent, "system_prompt_file"), folder / file)
        for agent, file in _prompt_files(document.get("agents"))
    }


def _prompt_files(agents: object) -> Iterator[tuple[str, str]]:
    for agent, table in agents.items() if isinstance(agents, dict) else ():
        file = table.get("system_prompt_file") if isinstance(table, dict) else None
        if isinstance(file, str) and file:
            yield agent, file


def _prompt(path: tuple[str, ...], file: Path) -> str | Problem:
    try:
        return _read(file, PROMPT_LIMIT)
    except ValueError as wrong:
        return Problem(path, str(wrong))


def _effective(config: Config, prompts: Mapping[str, str]) -> Config:
    agents = {"default": AgentConfig(), **config.agents}
    for name, text in prompts.items():
        agents[name] = agents[name].model_copy(update={"system_prompt": text, "system_prompt_file": None})
    return config.model_copy(update={"agents": MappingProxyType(agents)})


def _read(file: Path, limit: int) -> str:
    try:
        if not file.is_file():
            raise ValueError(f"{_shown(file)} is not a file")
        with file.open("rb") as opened:
            content = opened.read(limit + 1)
    except OSError as error:
        raise ValueError(f"{_shown(file)} can not be read: {error.strerror}") from None
    if len(content) > limit:
        raise ValueError(f"{_shown(file)} is larger than {limit} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{_shown(file)} is not UTF-8 text in line {line}") from None


def _shown(file: Path) -> str:
    try:
        return str(file.relative_to(Path.cwd()))
    except (OSError, ValueError):
        return str(file)
