"""What an HTTP status means. The table itself is held by the provider suite."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from services.llm.status import status_error


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), (" 1.5 ", 1.5), ("0", 0), ("-3", 0)])
def test_retry_after_in_seconds_is_read(header: str, seconds: float) -> None:
    assert status_error(429, retry_after=header).retry_after_s == seconds


def test_retry_after_as_a_date_is_read() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    seconds = status_error(503, retry_after=at).retry_after_s
    assert seconds is not None
    assert 50 < seconds <= 60


def test_a_date_that_is_past_means_now() -> None:
    assert status_error(503, retry_after="Wed, 21 Oct 2015 07:28:00 GMT").retry_after_s == 0


NONSENSE = ["", "soon", "nan", "inf", "1e999", "Wed, 99 Foo 2015 07:28:00 GMT", "\x00"]


@pytest.mark.parametrize("header", NONSENSE)
def test_a_retry_after_that_makes_no_sense_is_ignored(header: str) -> None:
    assert status_error(429, retry_after=header).retry_after_s is None


def test_the_vendors_reason_overrules_the_status() -> None:
    error = status_error(400, kind="context_too_long")
    assert (error.kind, error.code) == ("context_too_long", "http_400")
