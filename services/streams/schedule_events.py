"""The shapes of what happens in the streams of triggers: what they are, and what became of each due time."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from services.cron.template import PROMPT_LIMIT
from services.cron.times import CRON_LIMIT
from services.streams.payload import Payload

Misfire = Literal["skip", "latest", "all"]
Overlap = Literal["skip", "queue", "allow"]
Sessions = Literal["each", "one"]
Origin = Literal["api", "config"]
PassedBecause = Literal["misfire", "paused", "parked", "overlap", "removed", "late", "too_many"]

CATCH_UP_S = 4 * 3600
MOST_CATCH_UP_S = 3 * 86_400


class Definition(Payload, frozen=True, kw_only=True):
    """What a trigger does: at every due time of `cron` in the time zone `tz`, or once at `at` (epoch ms), `agent` is
    told `prompt`.

    A session for `each` due time, or `one` for all. `answer_in` is a Slack channel or a GitHub issue; empty: the
    session keeps the answer. `misfire` is what becomes of due times that nobody saw while nothing ran, as far as
    `catch_up_s` back; `overlap` of one that comes before the one before it is answered.
    """

    agent: str = "default"
    prompt: Annotated[str, msgspec.Meta(min_length=1, max_length=PROMPT_LIMIT)]
    cron: Annotated[str, msgspec.Meta(max_length=CRON_LIMIT)] = ""
    at: Annotated[int, msgspec.Meta(ge=0)] = 0
    tz: Annotated[str, msgspec.Meta(max_length=64)] = "UTC"
    session: Sessions = "each"
    answer_in: Annotated[str, msgspec.Meta(max_length=300)] = ""
    misfire: Misfire = "latest"
    catch_up_s: Annotated[int, msgspec.Meta(ge=60, le=MOST_CATCH_UP_S)] = CATCH_UP_S
    overlap: Overlap = "queue"
    paused: bool = False


class TriggerDefined(Payload, frozen=True):
    """The trigger is this from now on. What was due before stays with the definition it was due under."""

    definition: Definition
    origin: Origin = "api"


class TriggerRemoved(Payload, frozen=True):
    """The trigger is due no more, and what waits is not done any more.

    With a `definition`, the offset of one, only if that is in force: it was done a week ago, and let go of.
    """

    by: str = "operator"
    definition: int = 0


class TriggerFired(Payload, frozen=True):
    """A person wants it done now, whatever the time."""

    by: str = "operator"


class TriggerParked(Payload, frozen=True):
    """The expression or the zone of the definition at that offset can not be read any more: due never, until it is
    defined anew."""

    reason: str
    definition: int = 0


class TriggerCondensed(Payload, frozen=True):
    """What the trigger is now, with all that is still open: what is older than 7 days is not needed any more.

    `state` is what the processor `schedule` remembered; the last of its spans names the offset that its definition was
    given at. Events before the offset `trims` are let go of; 0: none yet.
    """

    state: msgspec.Raw
    trims: int = 0


class TickQueued(Payload, frozen=True):
    """A due time to be done: `tick` names it, `due` is epoch milliseconds, as `expires_at`, when it is too late.

    `definition` is the offset it was due under, `session` where it goes. `job` takes it there: from now on, unless
    the tick waits for the one before it (`waits`). A person asked for one that `is_manual`.
    """

    tick: str
    due: int
    expires_at: int
    definition: int
    session: str
    job: str
    waits: bool = False
    is_manual: bool = False


class TickAdmitted(Payload, frozen=True):
    """A tick that waited for the one before it is on its way."""

    tick: str


class TicksPassed(Payload, frozen=True):
    """`ticks.skipped` and `ticks.expired`: all due times of `definition` from `first` to `last`, epoch milliseconds,
    are not done. `reason` says why."""

    first: int
    last: int
    definition: int
    reason: PassedBecause


class TickEnded(Payload, frozen=True):
    """`tick.dispatched` to `offset` of `session`, or `tick.burned`, `tick.expired` or `tick.skipped` for a `reason`.

    `job` took it there; empty where none had begun. `due`, epoch milliseconds, is said of what was dispatched; 0 where
    a person asked for it.
    """

    tick: str
    job: str = ""
    session: str = ""
    offset: int = 0
    reason: str = ""
    due: int = 0


class TickSettled(Payload, frozen=True):
    """What the session made of it: the outcome of the turn that answered it, or `withdrawn`.

    So it did of `more` ticks, where one turn ended very many.
    """

    tick: str
    outcome: str
    turn: int = 0
    more: tuple[str, ...] = ()
