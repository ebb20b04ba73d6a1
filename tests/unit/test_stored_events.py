"""Events stored by every released version stay readable. Each file of the fixture folder is one release."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from services.streams.event import decode_entry
from services.streams.event_types import SHAPES
from services.streams.vocabulary import InputReceived

RELEASES = sorted((Path(__file__).parents[1] / "fixtures" / "events").glob("*.jsonl"))


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.stem)
def test_every_event_a_release_stored_can_be_read(release: Path) -> None:
    entries = release.read_bytes().splitlines()
    read = [decode_entry(offset, 0, entry) for offset, entry in enumerate(entries, start=1)]
    for event in read:
        event.decode(SHAPES[event.type])
    assert len(read) == len(entries) > 0


def test_the_newest_release_has_every_type_in_its_file() -> None:
    types = {msgspec.json.decode(line)["type"] for line in RELEASES[-1].read_bytes().splitlines()}
    assert types == set(SHAPES)


def test_types_and_fields_from_the_future_are_harmless() -> None:
    event = decode_entry(1, 0, b'{"type":"moon.landed","v":9,"payload":{"x":1},"shade":"grey"}')
    assert event.type == "moon.landed"
    said = decode_entry(2, 0, b'{"type":"input.received","payload":{"text":"hi","mood":"new"}}')
    assert said.decode(InputReceived).text == "hi"
