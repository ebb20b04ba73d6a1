"""A processor's row in its stream: version, anchor, whether it is parked, and where it lags.

Stored as fields `p:<name>` (the row) and `s:<name>` (the state) of the stream's hash.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import msgspec

from services.errors import Defect


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`offset` is None for a processor that stands at the stream's checkpoint.

    `anchor`: events up to it are only reduced. `fault` is the offset a parked one stumbled over,
    `skips` those a person told it to pass by, `parked_at` when (epoch ms) it was parked.
    `answered`: first and last of its own events behind the anchor that an older version reacted to.
    """

    version: int
    anchor: int = 0
    offset: int | None = None
    status: Literal["ok", "parked"] = "ok"
    error: str = ""
    fault: int = 0
    skips: tuple[int, ...] = ()
    parked_at: int = 0
    answered: tuple[int, int] = (0, 0)

    def reacts_to(self, offset: int) -> bool:
        """Whether the event at `offset` is new to the processor, and not one it is told to pass by."""
        first, last = self.answered
        return offset > self.anchor and not first <= offset <= last


def rows_of(fields: dict[str, bytes]) -> dict[str, Row]:
    """Every row of a stream by processor name. Raises: Defect for bytes nobody can read."""
    try:
        return {name[2:]: _decode_row(value) for name, value in fields.items() if name.startswith("p:")}
    except msgspec.DecodeError as error:
        raise Defect("a processor's row can not be read") from error


# Nearly all rows of all streams are the same few.
@lru_cache(maxsize=256)
def _decode_row(value: bytes) -> Row:
    return msgspec.json.decode(value, type=Row)


@lru_cache(maxsize=256)
def encode_row(row: Row) -> bytes:
    """The stored form."""
    return msgspec.json.encode(row)


def left_behind(row: Row, at: int) -> Row:
    """The row of a processor that a worker does not have: it stays where it is while the others go on."""
    if row.status == "parked" or row.offset is not None:
        return row
    return msgspec.structs.replace(row, offset=at)
