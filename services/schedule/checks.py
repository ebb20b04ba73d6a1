"""What a trigger must be to be accepted: everything wrong with a definition is said before it is stored."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Protocol

from services.cron.moments import moment_of
from services.cron.template import check_prompt
from services.cron.times import BadTimes, check_times, zone_of
from services.errors import Invalid
from services.schedule.names import TRIGGER_ID
from services.streams.schedule_events import Definition

_id = re.compile(TRIGGER_ID)


class KnownPlaces(Protocol):
    """Where triggers can be answered, as far as that shows without asking outside."""

    def check(self, answer_in: str) -> None:
        """Raises: Invalid."""


class NoPlaces:
    """An installation that answers nowhere but in its sessions."""

    def check(self, answer_in: str) -> None:
        """See `KnownPlaces`."""
        raise Invalid("answer_in", "names no channel that is on here")


def check_id(trigger: str) -> str:
    """The id of a trigger. Raises: Invalid."""
    if not _id.fullmatch(trigger):
        raise Invalid("id", "must be 1 to 64 letters, digits, `.`, `_` and `-`, with a letter or digit first")
    return trigger


def check_definition(given: Definition, agents: Collection[str], places: KnownPlaces) -> None:
    """Refuse what could not be done when it is due. Raises: Invalid."""
    if given.agent not in agents:
        raise Invalid("agent", f"there is no agent {given.agent!r}, only {', '.join(sorted(agents))}")
    check_prompt(given.prompt)
    _check_times(given)
    if given.answer_in:
        places.check(given.answer_in)


def _check_times(given: Definition) -> None:
    if bool(given.cron) == bool(given.at):
        raise Invalid("cron", "is given, or at: one of them")
    if given.at:
        moment_of(given.at, given.tz)
    try:
        zone_of(given.tz)
        if given.cron:
            check_times(given.cron, given.tz)
    except BadTimes as error:
        raise Invalid(error.field, error.reason) from None
