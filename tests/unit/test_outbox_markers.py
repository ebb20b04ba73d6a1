"""Markers: the same for every attempt at an entry, another for every other entry."""

from __future__ import annotations

import re

from services.outbox.markers import marker_of
from services.streams.event import JobId


def test_a_marker_is_the_same_in_every_process_for_ever() -> None:
    assert marker_of("turnwright", JobId("app:s@3")) == "reply_73d33ea79856389537dc1f0464c4378f"


def test_a_marker_differs_by_entry_and_by_namespace() -> None:
    made = {marker_of(space, JobId(entry)) for space in ("dev", "prod") for entry in ("app:s@1", "app:s@2")}

    assert len(made) == 4


def test_a_marker_fits_into_a_header_and_has_no_dot() -> None:
    assert re.fullmatch(r"reply_[0-9a-f]{32}", marker_of("turnwright", JobId("slack:T1:C1:17.5@9")))
