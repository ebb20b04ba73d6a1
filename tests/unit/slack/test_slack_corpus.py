"""Real payloads, as Slack's own libraries test themselves with: each is read, none is taken for what it is not."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from services.channels.slack.content import content_of
from services.channels.slack.events import Arrival, read_event
from services.channels.slack.forms import Command, Interaction, read_command, read_interaction
from services.channels.slack.payloads import Unreadable

LINES = (Path(__file__).parents[2] / "fixtures/slack/payloads.jsonl").read_text().splitlines()
CORPUS: list[dict[str, Any]] = [json.loads(line) for line in LINES]

Read = Arrival | Interaction | Command | Unreadable


def _read(row: dict[str, Any]) -> Read:
    match row["encoding"]:
        case "json":
            return read_event(json.dumps(row["payload"]).encode())
        case "payload":
            return read_interaction(urlencode({"payload": json.dumps(row["payload"])}).encode())
        case _:
            return read_command(urlencode(row["payload"]).encode())


@pytest.mark.parametrize("row", CORPUS, ids=lambda row: f"{row['kind']}-{row['path']}")
def test_every_payload_is_read(row: dict[str, Any]) -> None:
    found = _read(row)

    if isinstance(found, Unreadable):
        # One file holds an envelope with an event of no type.
        assert row["kind"] == "event:?"
    elif isinstance(found, Arrival):
        assert isinstance(content_of(found), str)
        assert row["kind"].removeprefix("event:").partition(":")[0] == found.type


def test_there_is_something_of_every_kind_in_it() -> None:
    kinds = Counter(found.kind for row in CORPUS if isinstance(found := _read(row), Arrival))

    assert {"mention", "direct", "reply", "message", "bot", "edited", "deleted"} <= kinds.keys()
    assert {"assistant_started", "uninstalled", "rate_limited", "housekeeping", "other"} <= kinds.keys()
    assert kinds["verification"] == 1


def test_what_a_person_said_has_an_author_and_a_place() -> None:
    for row in CORPUS:
        found = _read(row)
        if isinstance(found, Arrival) and found.kind in ("direct", "reply") and row["realism"] != "schema":
            assert found.author
            assert found.session is not None
            assert len(found.keys) == 2
