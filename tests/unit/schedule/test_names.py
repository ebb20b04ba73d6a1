"""The names of ticks: one for each due time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.schedule.names import tick_name

TIMES = st.integers(1001, 253_402_300_700_000)


@given(one=TIMES, apart=st.integers(-1000, 1000))
def test_a_tick_is_named_by_when_it_is_due_and_by_nothing_else(one: int, apart: int) -> None:
    assert (tick_name(one) == tick_name(one + apart)) == (not apart)


def test_a_single_time_may_be_within_a_second() -> None:
    assert tick_name(1_795_165_200_000) == "20261120T090000Z"
    assert tick_name(1_795_165_200_250) == "20261120T090000.250Z"
