"""What became of a trigger's due times, as `turnwright triggers explain` prints it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout

from deploy.cli import output
from deploy.cli.trigger_words import tick_row, zone_of_trigger
from services.sessions.trigger_values import TickView
from tests.chaos.day_case import Case

HEADS = ("due", "state", "recorded", "claimed", "dispatched", "why or where")


def excerpt(case: Case, most: int = 1000) -> str:
    """The ledger of a trigger, the oldest row first; of a longer one the `most` rows that tell most."""
    written = io.StringIO()
    with redirect_stdout(written):
        output.table(HEADS, [tick_row(row, zone_of_trigger(case.view)) for row in _telling(case, most)])
    return "\n".join(f"    {line}" for line in written.getvalue().splitlines())


def _telling(case: Case, most: int) -> Sequence[TickView]:
    rows = case.rows[::-1]
    starts = range(0, max(1, len(rows) - most + 1), max(1, most // 4))
    return max((rows[n : n + most] for n in starts), key=variety)


def variety(rows: Sequence[TickView]) -> int:
    """How many different things are told of."""
    return len({(row.state, row.reason, row.attempts > 1, row.tick.startswith("manual-")) for row in rows})
