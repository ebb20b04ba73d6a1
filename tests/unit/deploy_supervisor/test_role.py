"""When a role that died is started again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.supervisor.role import LONGEST_DELAY_S, SHORTEST_DELAY_S, Role, restart_delay_s


@pytest.mark.parametrize(
    ("deaths", "delay_s"), [(1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0), (5, None), (6, None)]
)
def test_each_death_within_a_minute_waits_longer_and_the_fifth_is_the_last(
    deaths: int, delay_s: float | None
) -> None:
    assert restart_delay_s([100.0 + number for number in range(deaths)], now=110.0) == delay_s


def test_deaths_older_than_a_minute_are_forgotten() -> None:
    assert restart_delay_s([0.0, 1.0, 2.0, 3.0, 100.0], now=100.0) == 0.5


@given(st.lists(st.floats(0, 1000), max_size=4), st.floats(0, 1000))
def test_the_delay_stays_within_its_bounds(exits: list[float], now: float) -> None:
    delay_s = restart_delay_s(exits, now=now)

    assert delay_s is not None
    assert SHORTEST_DELAY_S <= delay_s <= LONGEST_DELAY_S


def test_a_cause_is_found_in_the_line_that_tells_of_it() -> None:
    role = Role(name="log", command=("true",), passing_causes={"No space left": "disk full"})

    assert role.cause_in("AOF: No space left on device") == "disk full"
    assert role.cause_in("Ready to accept connections") == ""


def test_empty_lines_and_meaningless_ones_are_not_shown() -> None:
    role = Role(name="log", command=("true",), muted=("bye bye",))

    assert role.is_muted("7:M * Valkey is now ready to exit, bye bye...")
    assert role.is_muted("  ")
    assert not role.is_muted("7:M # Out of memory")
