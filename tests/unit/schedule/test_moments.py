"""A single time, as people write it."""

from __future__ import annotations

import pytest

from services.cron.moments import moment_of
from services.errors import Invalid

EVENING = 1_798_131_600_000


@pytest.mark.parametrize(
    ("given", "tz"),
    [
        (EVENING, "UTC"),
        ("2026-12-24T18:00", "Europe/Berlin"),
        ("2026-12-24 18:00:00.900", "Europe/Berlin"),
        ("2026-12-24T17:00:00Z", "Asia/Tokyo"),
        ("2026-12-24T18:00:00+01:00", "UTC"),
    ],
)
def test_a_time_is_read_as_it_is_written(given: int | str, tz: str) -> None:
    assert moment_of(given, tz) == EVENING


def test_two_times_of_one_second_are_one_as_their_ticks_have_one_name() -> None:
    assert moment_of(EVENING + 999, "UTC") == moment_of(EVENING, "UTC") == EVENING


@pytest.mark.parametrize(
    "given",
    [0, 999, -1, 2**62, 253_402_300_800_000, "", "soon", "2026-02-30T09:00", "0001-01-01T00:00", "12:00"],
)
def test_what_is_no_time_to_come_is_refused(given: int | str) -> None:
    with pytest.raises(Invalid) as refused:
        moment_of(given, "UTC")
    assert refused.value.field == "at"


def test_a_zone_that_is_not_known_is_named() -> None:
    with pytest.raises(Invalid) as refused:
        moment_of("2026-12-24T18:00", "Mars/Olympus")
    assert refused.value.field == "tz"
