"""The embedded stores as real processes: durable, private, and usable after every kind of end."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from deploy.embedded import (
    EmbeddedStore,
    StoreKind,
    forget_stores,
    make_socket_folder,
    record_stores,
    run_store,
)
from services.errors import Unavailable
from services.settings import embedded_addresses
from tests.worker.waiting import wait_until


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    for name in ("run", "log"):
        (tmp_path / "home" / name).mkdir(parents=True)
    yield tmp_path / "home"
    forget_stores(tmp_path / "home")


def store_on(home: Path, kind: StoreKind) -> EmbeddedStore:
    sockets = make_socket_folder()
    store = EmbeddedStore(
        kind=kind, socket=sockets / f"{kind}.sock", folder=home / "log" if kind == "log" else sockets
    )
    record_stores(home, log=store.url, broker=store.url)
    return store


def connect(store: EmbeddedStore) -> redis.Redis:
    return redis.Redis.from_url(store.url, decode_responses=True)


def only_incremental_file(home: Path) -> Path:
    (path,) = (home / "log" / "appendonlydir").glob("*.incr.aof")
    return path


def test_the_log_store_is_configured_to_lose_nothing(home: Path) -> None:
    with run_store(store_on(home, "log")) as store, connect(store) as client:
        config = client.config_get()

        assert isinstance(config, dict)
        wanted = {
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
            "save": "",
            "port": "0",
            "aof-load-truncated": "yes",
        }
        assert {name: config[name] for name in wanted} == wanted
        assert int(config["maxmemory"]) > 0


def test_the_broker_keeps_nothing(home: Path) -> None:
    with run_store(store_on(home, "broker")) as store, connect(store) as client:
        client.set("hint", "1")
        client.shutdown()

    assert {path.name for path in store.folder.iterdir()} <= {"broker.sock"}


def test_only_the_owner_reaches_the_socket(home: Path) -> None:
    with run_store(store_on(home, "log")) as store:
        assert stat.S_IMODE(store.socket.stat().st_mode) == 0o700
        assert stat.S_IMODE(store.socket.parent.stat().st_mode) == 0o700


def test_what_was_acknowledged_is_there_after_a_kill(home: Path) -> None:
    store = store_on(home, "log")
    with run_store(store), connect(store) as client:
        client.set("fact", "1")
        pid = client.info("server")["process_id"]
        os.kill(pid, signal.SIGKILL)

    with run_store(store), connect(store) as client:
        assert client.get("fact") == "1"


def test_a_log_whose_end_was_cut_off_in_the_middle_of_a_write_is_read_up_to_there(home: Path) -> None:
    store = store_on(home, "log")
    with run_store(store), connect(store) as client:
        client.set("first", "1")
        client.set("second", "2" * 100)
    path = only_incremental_file(home)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 20)

    with run_store(store), connect(store) as client:
        assert client.get("first") == "1"
        assert client.get("second") is None


def test_a_store_that_still_reads_its_data_is_not_ready(home: Path) -> None:
    store = store_on(home, "log")
    with run_store(store), connect(store) as client:
        client.set("fact", "1")

    # With a pause after every key it is loading while it is asked.
    slow = subprocess.Popen(
        [*store.command(), "--key-load-delay", "2000000", "--loading-process-events-interval-bytes", "1024"]
    )
    try:
        wait_until(store.socket.exists)
        assert not store.is_ready()
    finally:
        slow.kill()
        slow.wait()


def test_a_store_that_can_not_start_is_told_at_once(home: Path) -> None:
    store = store_on(home, "log")
    with run_store(store):
        pass
    manifest = home / "log" / "appendonlydir" / "appendonly.aof.manifest"
    manifest.write_text("not a manifest\n")

    with pytest.raises(Unavailable, match="ended with status"), run_store(store):
        pass


def test_a_store_run_outside_a_supervisor_ends_with_the_process_that_started_it(home: Path) -> None:
    program = (
        "import sys, os, signal; from pathlib import Path; from deploy.embedded import *\n"
        "store = EmbeddedStore(kind='broker', socket=Path(sys.argv[1]) / 's', folder=Path(sys.argv[1]))\n"
        "with run_store(store): os.kill(os.getpid(), signal.SIGKILL)"
    )
    folder = make_socket_folder()
    record_stores(home, log=f"unix://{folder}/s", broker="")

    subprocess.run([sys.executable, "-c", program, str(folder)], check=False)

    store = EmbeddedStore(kind="broker", socket=folder / "s", folder=folder)
    wait_until(lambda: not store.is_ready())


def test_other_processes_find_the_stores_by_the_data_directory(home: Path) -> None:
    record_stores(home, log="unix:///a/log.sock", broker="unix:///a/broker.sock")

    assert embedded_addresses(home) == ("unix:///a/log.sock", "unix:///a/broker.sock")
    with pytest.raises(Unavailable):
        embedded_addresses(home / "elsewhere")


def test_forgetting_removes_only_folders_that_were_made_for_sockets(home: Path, tmp_path: Path) -> None:
    mine, other = make_socket_folder(), tmp_path / "other"
    other.mkdir()
    record_stores(home, log=f"unix://{mine}/log.sock", broker=f"unix://{other}/broker.sock")

    forget_stores(home)

    assert not mine.exists()
    assert other.exists()
    with pytest.raises(Unavailable):
        embedded_addresses(home)
