"""What became of each due time, over HTTP: each is there once, page by page; and when an expression is due next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fakes.clockwork import DAY, HOUR, MINUTE, Clockwork, at
from tests.scenarios.http_stage import Stage, opened_stage, store_url

PATH = "/api/triggers/nightly"


@pytest.fixture
def stage() -> Iterator[Stage]:
    with opened_stage() as opened:
        yield opened


@pytest.fixture
def clock(stage: Stage) -> Iterator[Clockwork]:
    """The worker behind it."""
    made = Clockwork(store_url(), stage.log.keys)
    yield made
    made.close()


def pages(stage: Stage, query: str = "") -> list[dict[str, Any]]:
    """All ticks, newest first, however many pages it takes."""
    found: list[dict[str, Any]] = []
    page: dict[str, Any] = {"cursor": ""}
    while page["cursor"] is not None:
        more = f"&cursor={page['cursor']}" if page["cursor"] else ""
        page = stage.get(f"{PATH}/ticks?{query}{more}")
        found += page["ticks"]
    return found


def preview(stage: Stage, query: str) -> dict[str, Any]:
    return stage.get(f"/api/schedule/preview?{query}")


@pytest.mark.parametrize("limit", [1, 7, 60, 1000])
def test_every_minute_that_was_passed_over_is_there_once_whatever_the_page(
    stage: Stage, clock: Clockwork, limit: int
) -> None:
    clock.define(cron="* * * * *", overlap="allow")
    clock.pass_time(HOUR)
    clock.work()

    ticks = pages(stage, f"limit={limit}")

    nine = clock.rows()[at(10)].due - HOUR
    assert [each["due"] for each in ticks] == [nine + n * MINUTE for n in range(60, 0, -1)]
    assert [each["state"] for each in ticks] == ["dispatched"] + ["skipped"] * 59
    assert {each["reason"] for each in ticks[1:]} == {"misfire"}


def test_ticks_that_people_want_at_the_same_instant_are_on_one_page_each(
    stage: Stage, clock: Clockwork
) -> None:
    clock.define(overlap="allow")
    fired = [stage.call("POST", f"{PATH}/fire").json or {} for _ in range(40)]
    clock.work()

    ticks = [each["tick"] for each in pages(stage, "limit=1")]

    assert sorted(ticks) == sorted(each["tick"] for each in fired)


def test_what_was_due_before_an_edit_is_shown_by_the_older_definition(stage: Stage, clock: Clockwork) -> None:
    clock.define(cron="*/20 * * * *", misfire="skip", overlap="allow")
    clock.pass_time(HOUR)
    clock.define(cron="*/30 * * * *", misfire="skip", overlap="allow")
    clock.pass_time(HOUR)
    clock.work()

    ticks = [each["tick"] for each in pages(stage, "limit=2")][::-1]

    assert ticks == [at(9, 20), at(9, 40), at(10), at(10, 30), at(11)]


def test_what_is_due_while_nobody_looks_is_shown_to_be(stage: Stage, clock: Clockwork) -> None:
    clock.define(misfire="all")
    clock.pass_time(3 * HOUR)

    ticks = pages(stage, "limit=2")

    assert [(each["tick"], each["state"], each["reason"]) for each in ticks] == [
        (at(hour), "due", "nobody_looked_yet") for hour in (12, 11, 10)
    ]


def test_one_state_can_be_asked_for(stage: Stage, clock: Clockwork) -> None:
    clock.define(cron="0 * * * *", overlap="skip")
    for _ in range(3):
        clock.pass_time(HOUR)
        clock.work()

    assert [each["tick"] for each in pages(stage, "state=skipped&limit=1")] == [at(12), at(11)]
    assert [each["tick"] for each in pages(stage, "state=dispatched")] == [at(10)]
    assert pages(stage, "state=burned") == []


def test_only_what_was_due_since_then_is_shown(stage: Stage, clock: Clockwork) -> None:
    clock.define(misfire="all", overlap="allow", catch_up_s=259_200)
    clock.pass_time(2 * DAY)
    clock.work()
    due = {tick: row.due for tick, row in clock.rows(since=0).items()}

    assert len(pages(stage)) == 24
    assert len(pages(stage, f"since={due[at(12, day=21)]}&limit=5")) == 22
    assert len(pages(stage, "since=0")) == 48
    assert pages(stage, f"since={2**53}") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("state=lost", "state"),
        ("since=-1", "since"),
        ("since=yesterday", "since"),
        ("since=9007199254740993", "since"),
        ("cursor=7", "cursor"),
        ("cursor=.x", "cursor"),
        ("cursor=1.%00", "cursor"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("sinse=1", "sinse"),
    ],
)
def test_a_question_that_can_not_be_is_refused_by_its_field(
    stage: Stage, clock: Clockwork, query: str, field: str
) -> None:
    clock.define()

    answer = stage.call("GET", f"{PATH}/ticks?{query}")

    assert (answer.status_code, (answer.json or {}).get("field")) == (422, field), answer.text


def test_a_preview_goes_on_from_where_it_is_asked_to(stage: Stage) -> None:
    first = preview(stage, "expr=0+9+*+*+1-5&tz=Europe/Berlin&count=3&after=1766000000000")

    assert first["local"] == [
        "2025-12-18T09:00:00+01:00",
        "2025-12-19T09:00:00+01:00",
        "2025-12-22T09:00:00+01:00",
    ]
    after = first["times"][-1]
    more = preview(stage, f"expr=0+9+*+*+1-5&tz=Europe/Berlin&count=1&after={after}")
    assert more["local"] == ["2025-12-23T09:00:00+01:00"]


def test_a_preview_says_what_clocks_that_are_set_do(stage: Stage) -> None:
    gap = preview(stage, "expr=30+2+*+*+*&tz=Europe/Berlin&count=3&after=1774620000000")
    fold = preview(stage, "expr=30+2+*+*+*&tz=Europe/Berlin&count=3&after=1792792800000")

    assert [each[5:] for each in gap["local"]] == [
        "03-28T02:30:00+01:00",
        "03-29T03:00:00+02:00",
        "03-30T02:30:00+02:00",
    ]
    assert [each[5:] for each in fold["local"]] == [
        "10-24T02:30:00+02:00",
        "10-25T02:30:00+02:00",
        "10-26T02:30:00+01:00",
    ]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "expr"),
        ("expr=", "expr"),
        ("expr=0+9+*+*", "expr"),
        ("expr=0+9+30+2+*", "expr"),
        ("expr=@daily&tz=Mars/Phobos", "tz"),
        ("expr=@daily&count=0", "count"),
        ("expr=@daily&count=1001", "count"),
        ("expr=@daily&after=-1", "after"),
        ("expr=@daily&after=253402300800000", "after"),
        ("expr=@daily&since=1", "since"),
    ],
)
def test_a_preview_of_what_can_not_be_is_refused_by_its_field(stage: Stage, query: str, field: str) -> None:
    answer = stage.call("GET", f"/api/schedule/preview?{query}")

    assert (answer.status_code, (answer.json or {}).get("field")) == (422, field), answer.text


def test_a_preview_ends_where_the_calendar_does(stage: Stage) -> None:
    assert preview(stage, "expr=@daily&after=253402300000000")["times"] == []
    assert len(preview(stage, "expr=0+0+1+1+*&count=1000&after=253370000000000")["times"]) < 3
    assert len(preview(stage, "expr=0+0+29+2+1&count=1000")["times"]) > 100
