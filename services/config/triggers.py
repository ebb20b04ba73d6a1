"""`[[triggers]]`: what is asked by the clock, as the file may say it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from services.config.table import AgentName, Table
from services.cron.moments import moment_in
from services.cron.template import PROMPT_LIMIT, check_prompt
from services.cron.times import BadTimes, check_times, zone_of
from services.errors import Invalid

ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


def _zone_of(name: str) -> str:
    try:
        zone_of(name)
    except BadTimes as error:
        raise ValueError(error.reason) from None
    return name


def _expression_of(text: str | None) -> str | None:
    if text is not None:
        try:
            check_times(text, "UTC")
        except BadTimes as error:
            raise ValueError(error.reason) from None
    return text


def _prompt_of(text: str) -> str:
    try:
        check_prompt(text)
    except Invalid as error:
        raise ValueError(error.reason) from None
    return text


def _written(given: object) -> object:
    """TOML has times of its own; whole numbers are epoch milliseconds."""
    if isinstance(given, datetime):
        return given.isoformat()
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else given


def _moment_of(text: str | None) -> str | None:
    if text is not None:
        try:
            moment_in(text, "UTC")
        except Invalid as error:
            raise ValueError(error.reason) from None
    return text


class TriggerConfig(Table):
    """One of `[[triggers]]`: an agent is told something at its time. Exactly one of `cron` and `at` is given."""

    id: Annotated[str, Field(pattern=f"^{ID_PATTERN}$")]
    """What it is called."""

    prompt: Annotated[str, Field(min_length=1, max_length=PROMPT_LIMIT), AfterValidator(_prompt_of)]
    """What the agent is told. {date}, {weekday}, {time}, {due}, {tz}, {trigger} and {tick} are filled in, as the clock
    of `tz` shows them when it is due."""

    agent: AgentName = "default"
    """Who is told."""

    cron: Annotated[str | None, AfterValidator(_expression_of), WithJsonSchema({"type": "string"})] = None
    """When: minute, hour, day of the month, month and weekday; or @hourly, @daily, @weekly, @monthly, @yearly."""

    at: Annotated[
        str | None,
        BeforeValidator(_written),
        AfterValidator(_moment_of),
        WithJsonSchema({"type": ["string", "integer"]}),
    ] = None
    """When, once: a time such as 2026-12-24T18:00, of `tz` where it names no offset."""

    tz: Annotated[str, AfterValidator(_zone_of)] = "UTC"
    """The time zone of both, by its name in the IANA database."""

    session: Literal["each", "one"] = "each"
    """A session for each due time, or one for all."""

    answer_in: Annotated[
        str | None, Field(min_length=1, max_length=300), WithJsonSchema({"type": "string"})
    ] = None
    """Where it is answered: `slack:<channel id>`, or `github:<owner>/<repository>#<number>`. Absent: in its session."""

    misfire: Literal["skip", "latest", "all"] = "latest"
    """What becomes of due times that were missed while nothing ran."""

    catch_up_s: int = Field(default=14_400, ge=60, le=259_200)
    """How far back missed due times are done, and how long one is tried."""

    overlap: Literal["skip", "queue", "allow"] = "queue"
    """What becomes of one that is due before the one before it is answered."""

    paused: bool = False
    """Whether it waits; what is due meanwhile is skipped."""

    @model_validator(mode="after")
    def _has_one_time(self) -> TriggerConfig:
        if (self.cron is None) == (self.at is None):
            raise ValueError("cron is given, or at: one of them")
        return self
