"""A store that this release may not use is refused before anything starts, and what it holds stays as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from deploy.datadir import lock_data_directory
from deploy.embedded import EmbeddedStore, make_socket_folder, run_store
from services.streams.admission import RECORD, SCHEMA


def change_record(home: Path, field: str, value: str) -> None:
    """Write `value` into the record of the data directory's log store, as another release would have."""
    directory = lock_data_directory(home, wait_s=1.0)
    try:
        store = EmbeddedStore(kind="log", socket=make_socket_folder() / "log.sock", folder=directory.log)
        with run_store(store):
            redis.Redis.from_url(store.url).hset(RECORD, field, value)
    finally:
        directory.close()


def up(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TURNWRIGHT_")}
    return subprocess.run(
        [sys.executable, "-m", "turnwright", "up"],
        env=kept | {"TURNWRIGHT_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [
        ("schema", str(SCHEMA + 1), "upgrade Turnwright"),
        ("namespace", "other", "set TURNWRIGHT_NAMESPACE=other"),
    ],
)
def test_a_store_of_a_newer_release_or_another_namespace_is_refused_with_what_to_do(
    tmp_path: Path, field: str, value: str, advice: str
) -> None:
    home = tmp_path / "home"
    change_record(home, field, value)

    refused = up(home)

    assert refused.returncode == 2
    assert advice in refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr


def test_a_store_that_would_lose_data_is_refused_with_what_to_do(tmp_path: Path) -> None:
    folder = make_socket_folder()
    careless = EmbeddedStore(kind="broker", socket=folder / "s", folder=folder)
    with run_store(careless):
        refused = up(tmp_path / "home", TURNWRIGHT_STORE_URL=careless.url)
        redis.Redis.from_url(careless.url).config_set("maxmemory-policy", "allkeys-lru")
        refused_twice = up(tmp_path / "home", TURNWRIGHT_STORE_URL=careless.url)

    assert (refused.returncode, refused_twice.returncode) == (2, 2)
    assert "set appendonly yes" in refused.stderr
    assert "set maxmemory-policy noeviction" in refused_twice.stderr


def test_a_store_that_does_not_answer_is_named(tmp_path: Path) -> None:
    refused = up(tmp_path / "home", TURNWRIGHT_STORE_URL=f"unix://{tmp_path}/nobody")

    assert refused.returncode == 1
    assert "the store does not answer" in refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr
