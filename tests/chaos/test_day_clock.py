"""What the clock of a simulated day showed, and what somebody can have seen of it."""

from __future__ import annotations

import pytest

from tests.chaos.day_clock import Course

# It shows real time up to 100; then it is set to 500; at 200 (600) back to 550. At 150 nothing was being worked on.
COURSE = Course(moves=((0, 0), (100, 400), (200, 350)), marks=(50, 150))


@pytest.mark.parametrize(
    ("due", "by", "seen"),
    [
        (60, 70, 60),
        (60, 510, 60),
        (300, 510, 500),
        (520, 530, 520),
        (520, 560, 550),
        (555, 590, 555),
        (540, 560, 550),
        (595, 640, 595),
        (620, 640, 620),
    ],
)
def test_the_first_time_that_was_seen_is_one_that_was_shown_since_all_was_at_rest(
    due: int, by: int, seen: int
) -> None:
    assert COURSE.first_seen(due, by=by) == seen


def test_it_is_known_how_far_the_clock_went_back_and_what_it_showed_at_rest() -> None:
    assert (COURSE.went_back(by=540), COURSE.went_back(by=560)) == (0, 50)
    assert COURSE.shown_last() == 550
