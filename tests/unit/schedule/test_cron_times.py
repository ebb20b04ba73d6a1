"""Due times: against times worked out in another way, and where clocks are set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from services.cron.times import NAMED, BadTimes, Times, check_times, zone_of
from tests.unit.schedule.oracle import due_times

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Australia/Adelaide",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Antarctica/Troll",
    "Africa/Casablanca",
    "Pacific/Apia",
)
# Where clocks were set: spring and autumn, by half an hour, by two, and a day that was left out.
CHANGES = (
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
    datetime(2024, 2, 29, 12, tzinfo=UTC),
)


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def at(due: int | None, tz: str = "UTC") -> str:
    assert due is not None
    return datetime.fromtimestamp(due / 1000, ZoneInfo(tz)).isoformat(timespec="minutes")


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    one = st.integers(low, high)
    listed = st.lists(one, min_size=1, max_size=3, unique=True).map(lambda each: ",".join(map(str, each)))
    ranged = st.tuples(one, one).map(lambda pair: f"{min(pair)}-{max(pair)}")
    stepped = st.tuples(st.sampled_from(["*", f"{low}-{high}"]), st.integers(1, high)).map(
        lambda pair: f"{pair[0]}/{pair[1]}"
    )
    return st.one_of(st.just("*"), one.map(str), listed, ranged, stepped)


EXPRESSIONS = st.tuples(numbers(0, 59), numbers(0, 23), numbers(1, 28), numbers(1, 12), numbers(0, 7)).map(
    " ".join
)
OFTEN = st.tuples(numbers(0, 59), numbers(0, 23)).map(lambda pair: f"{pair[0]} {pair[1]} * * *")


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(EXPRESSIONS, OFTEN), st.sampled_from(ZONES), st.sampled_from(CHANGES), st.integers(-200, 200)
)
def test_due_times_are_those_that_a_look_at_every_minute_finds(
    cron: str, tz: str, change: datetime, minutes: int
) -> None:
    after = change + timedelta(minutes=minutes) - timedelta(hours=20)
    until = after + timedelta(hours=44)

    wanted = due_times(cron, tz, after, until)

    times = Times(cron, tz)
    assert list(times.between(ms(after), ms(until))) == [ms(each) for each in wanted]
    assert times.after(ms(after)) == (ms(wanted[0]) if wanted else times.after(ms(until)))
    if wanted:
        assert times.last(ms(until)) == ms(wanted[-1])
        assert times.last(ms(wanted[-1])) == ms(wanted[-1])


@settings(max_examples=150, deadline=None)
@given(OFTEN, st.sampled_from(ZONES), st.sampled_from(CHANGES), st.integers(-4000, 4000))
def test_the_last_due_time_is_the_newest_of_those_before(
    cron: str, tz: str, change: datetime, minutes: int
) -> None:
    now = ms(change + timedelta(minutes=minutes))
    times = Times(cron, tz)

    last = times.last(now)

    assert last is not None
    assert last <= now
    assert times.after(last - 1) == last
    following = times.after(last)
    assert following is None or following > now


@pytest.mark.parametrize(
    ("tz", "cron", "after", "wanted"),
    [
        # The gap: once, right after it.
        ("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00Z", "2026-03-29T03:00+02:00"),
        ("America/New_York", "15 2 * * *", "2026-03-07T12:00Z", "2026-03-08T03:00-04:00"),
        ("America/St_Johns", "30 2 * * *", "2026-03-07T12:00Z", "2026-03-08T03:00-02:30"),
        ("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00Z", "2026-10-04T02:30+11:00"),
        ("Australia/Adelaide", "30 2 * * *", "2026-10-03T12:00Z", "2026-10-04T03:00+10:30"),
        ("Antarctica/Troll", "30 1 * * *", "2026-03-28T12:00Z", "2026-03-29T03:00+02:00"),
        # The fold: once, the first time.
        ("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00Z", "2026-10-25T02:30+02:00"),
        ("Europe/Berlin", "30 2 * * *", "2026-10-25T00:30Z", "2026-10-26T02:30+01:00"),
        ("Europe/Berlin", "30 2 * * *", "2026-10-25T01:10Z", "2026-10-26T02:30+01:00"),
        ("America/New_York", "30 1 * * *", "2026-11-01T05:30Z", "2026-11-02T01:30-05:00"),
        ("America/St_Johns", "30 1 * * *", "2026-11-01T03:59Z", "2026-11-01T01:30-02:30"),
        ("America/St_Johns", "30 1 * * *", "2026-11-01T04:00Z", "2026-11-02T01:30-03:30"),
        ("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T14:45Z", "2026-04-06T01:45+10:30"),
        ("Australia/Adelaide", "30 2 * * *", "2026-04-04T16:00Z", "2026-04-06T02:30+09:30"),
        # Wildcards follow the clock: left out in the gap, twice in the fold.
        ("Europe/Berlin", "*/30 2 * * *", "2026-03-28T12:00Z", "2026-03-30T02:00+02:00"),
        ("Europe/Berlin", "*/30 2 * * *", "2026-10-25T00:30Z", "2026-10-25T02:00+01:00"),
        ("Australia/Lord_Howe", "*/15 * * * *", "2026-10-03T15:29Z", "2026-10-04T02:30+11:00"),
        ("Australia/Lord_Howe", "*/15 * * * *", "2026-04-04T14:45Z", "2026-04-05T01:30+10:30"),
        ("Australia/Lord_Howe", "* 0 * * *", "2026-04-04T14:45Z", "2026-04-06T00:00+10:30"),
        ("Australia/Lord_Howe", "* 3 * * *", "2026-10-03T12:00Z", "2026-10-04T03:00+11:00"),
        # Neither happens where clocks stay as they are.
        ("Asia/Kolkata", "30 2 * * *", "2026-03-28T12:00Z", "2026-03-29T02:30+05:30"),
        ("Asia/Kathmandu", "0 0 * * *", "2026-03-28T12:00Z", "2026-03-29T00:00+05:45"),
        # The day that Samoa left out.
        ("Pacific/Apia", "0 9 * * *", "2011-12-29T20:00Z", "2011-12-31T00:00+14:00"),
    ],
)
def test_clocks_that_are_set_neither_lose_nor_double_a_due_time(
    tz: str, cron: str, after: str, wanted: str
) -> None:
    start = ms(datetime.fromisoformat(after.replace("Z", "+00:00")))

    assert at(Times(cron, tz).after(start), tz) == wanted


def test_cronsim_itself_still_loses_the_half_of_an_hour_after_clocks_are_set_by_half_an_hour() -> None:
    sim = CronSim("*/30 0 * * *", datetime(2026, 4, 5, 1, 0, tzinfo=ZoneInfo("Australia/Lord_Howe")))

    found = next(sim)

    # Once it is 00:00, looking at every minute is not needed any more.
    assert (found.hour, found.minute) == (0, 30)


@pytest.mark.parametrize(
    ("cron", "wanted"),
    [
        ("0 9 13 * 5", ["2026-11-20", "2026-11-27", "2026-12-04", "2026-12-11", "2026-12-13"]),
        ("0 9 * * MON-WED", ["2026-11-23", "2026-11-24", "2026-11-25", "2026-11-30", "2026-12-01"]),
        ("0 9 L JAN-MAR *", ["2027-01-31", "2027-02-28", "2027-03-31", "2028-01-31", "2028-02-29"]),
        ("0 9 29 2 *", ["2028-02-29", "2032-02-29", "2036-02-29", "2040-02-29", "2044-02-29"]),
        ("0 9 * * 0,7", ["2026-11-22", "2026-11-29", "2026-12-06", "2026-12-13", "2026-12-20"]),
        ("@monthly", ["2026-12-01", "2027-01-01", "2027-02-01", "2027-03-01", "2027-04-01"]),
        ("@WEEKLY", ["2026-11-22", "2026-11-29", "2026-12-06", "2026-12-13", "2026-12-20"]),
    ],
)
def test_days_are_those_that_cron_would_take(cron: str, wanted: list[str]) -> None:
    due = ms(datetime(2026, 11, 20, 8, tzinfo=UTC))
    found = []

    for _ in wanted:
        following = Times(cron, "UTC").after(due)
        assert following is not None
        due = following
        found.append(at(due)[:10])

    assert found == wanted


@pytest.mark.parametrize("name", sorted(NAMED))
def test_every_name_can_be_read(name: str) -> None:
    check_times(name, "Europe/Berlin")


@pytest.mark.parametrize(
    ("cron", "tz", "field", "reason"),
    [
        ("", "UTC", "cron", "must have five fields"),
        ("* * * *", "UTC", "cron", "must have five fields"),
        ("* * * * * *", "UTC", "cron", "must have five fields"),
        ("@reboot", "UTC", "cron", "must have five fields"),
        ("60 * * * *", "UTC", "cron", "can not be read: bad minute"),
        ("* 24 * * *", "UTC", "cron", "can not be read: bad hour"),
        ("* * 0 * *", "UTC", "cron", "can not be read: bad day-of-month"),
        ("* * * FOO *", "UTC", "cron", "can not be read: bad month"),
        ("* * * * 8", "UTC", "cron", "can not be read: bad day-of-week"),
        ("*/0 * * * *", "UTC", "cron", "can not be read: bad minute"),
        ("5-1 * * * *", "UTC", "cron", "can not be read: bad minute"),
        ("\u0665 * * * *", "UTC", "cron", "can not be read: bad minute"),
        ("0 0 30 2 *", "UTC", "cron", "can not be read: bad day-of-month"),
        ("0 0 31 4,6 *", "UTC", "cron", "can not be read: bad day-of-month"),
        ("* * * * *", "Mars/Olympus", "tz", "is not a time zone"),
        ("* * * * *", "", "tz", "is not a time zone"),
        ("* * * * *", "../../etc/passwd", "tz", "is not a time zone"),
        ("* * * * *", "x\0y", "tz", "is not a time zone"),
        ("* * * * *", "Europe", "tz", "is not a time zone"),
    ],
)
def test_what_can_not_be_read_is_refused_with_what_is_wrong(
    cron: str, tz: str, field: str, reason: str
) -> None:
    with pytest.raises(BadTimes) as refused:
        check_times(cron, tz)

    assert refused.value.field == field
    assert refused.value.reason.startswith(reason)


@pytest.mark.parametrize("tz", ["UTC", "Europe/Berlin"])
def test_where_the_calendar_ends_nothing_is_due(tz: str) -> None:
    end = ms(datetime(9999, 12, 30, tzinfo=UTC))

    assert Times("0 0 1 1 *", tz).after(end) is None
    with pytest.raises(BadTimes):
        Times("* * * * *", tz).after(2**62)


def test_the_last_due_time_is_found_where_a_whole_day_was_left_out() -> None:
    """Samoa went from the 29th to the 31st of December 2011: what was due on the 30th ran right after it."""
    change = datetime(2011, 12, 30, 10, tzinfo=UTC)

    assert Times("* * * * *", "Pacific/Apia").last(ms(change)) == ms(change)
    assert Times("0 12 * * *", "Pacific/Apia").last(ms(change)) == ms(change)
    assert Times("0 12 * * *", "Pacific/Apia").last(ms(change) - 1) == ms(change - timedelta(hours=12))


@pytest.mark.parametrize(
    "name", ["localtime", "posixrules", "Factory", "posix/UTC", "right/UTC", "Europe", "../UTC"]
)
def test_what_is_another_zone_on_another_machine_is_none(name: str) -> None:
    with pytest.raises(BadTimes) as refused:
        zone_of(name)
    assert refused.value.field == "tz"
