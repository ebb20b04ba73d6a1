"""What all tables of `turnwright.toml` have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

AGENT_PATTERN = "[a-z][a-z0-9_-]{0,63}"

AgentName = Annotated[str, Field(pattern=f"^{AGENT_PATTERN}$")]


class Table(BaseModel):
    """A table; its keys are its fields, and no others."""

    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )
