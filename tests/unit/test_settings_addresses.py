"""Where the stores are: as set, or as the supervisor of a data directory wrote it down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.errors import Unavailable
from services.settings import embedded_addresses, load_settings, store_addresses
from services.variables import without_password


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    stores = {"log": "unix:///tmp/l.sock", "broker": "unix:///tmp/b.sock", "later": 1}
    (tmp_path / "run" / "stores.json").write_text(json.dumps(stores))
    return tmp_path


def test_embedded_stores_are_found_by_their_data_directory(home: Path) -> None:
    assert embedded_addresses(home) == ("unix:///tmp/l.sock", "unix:///tmp/b.sock")


def test_an_explicit_address_wins(home: Path) -> None:
    environ = {"TURNWRIGHT_HOME": str(home)}

    assert store_addresses(load_settings(environ)) == ("unix:///tmp/l.sock", "unix:///tmp/b.sock")
    environ["TURNWRIGHT_BROKER_URL"] = "redis://b"
    assert store_addresses(load_settings(environ)) == ("unix:///tmp/l.sock", "redis://b")
    environ["TURNWRIGHT_STORE_URL"] = "redis://s"
    assert store_addresses(load_settings(environ)) == ("redis://s", "redis://b")


def test_explicit_addresses_need_no_data_directory(tmp_path: Path) -> None:
    environ = {"TURNWRIGHT_HOME": str(tmp_path / "none"), "TURNWRIGHT_STORE_URL": "redis://s"}

    assert store_addresses(load_settings(environ)) == ("redis://s", "redis://s")


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"log": 1, "broker": "x"}', b"\xff"])
def test_when_nothing_runs_the_answer_says_what_to_do(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "stores.json").write_bytes(content)

    with pytest.raises(Unavailable, match=r"nothing runs on the data directory .*make up"):
        embedded_addresses(tmp_path)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:pw@h:1/0", "redis://h:1/0"),
        ("rediss://u:p@w@h/2?password=pw", "rediss://h/2"),
        ("unix://u:pw@/run/x.sock?db=1", "unix:///run/x.sock"),
    ],
)
def test_an_address_is_shown_without_what_opens_it(url: str, shown: str) -> None:
    assert without_password(url) == shown
