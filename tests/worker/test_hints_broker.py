"""Hints survive their broker: an outage loses some, says what it is, and ends with the broker's return."""

from __future__ import annotations

from pathlib import Path

import pytest
from celery import Celery
from kombu.transport.redis import Transport

from deploy.embedded import EmbeddedStore, run_store
from services.errors import Unavailable
from services.jobs.wake import Hint
from tasks.hints import CeleryHints, OneClientTransport

HINT = Hint("llm", 1, "app:a@1")


def test_a_dead_broker_is_named_as_such_and_its_successor_is_found(tmp_path: Path) -> None:
    store = EmbeddedStore(kind="broker", socket=tmp_path / "b.sock", folder=tmp_path)
    hints = CeleryHints(Celery(broker=f"redis+socket://{store.socket}", set_as_current=False), "t")
    with run_store(store):
        hints.publish([HINT])

    with pytest.raises(Unavailable):
        hints.publish([HINT])
    with pytest.raises(Unavailable):
        hints.backlog("llm")

    with run_store(store):
        hints.publish([HINT, HINT])
        assert hints.backlog("llm") == 2


def test_the_backlog_counts_what_nobody_has_read(tmp_path: Path) -> None:
    store = EmbeddedStore(kind="broker", socket=tmp_path / "b.sock", folder=tmp_path)
    app = Celery(broker=f"redis+socket://{store.socket}", set_as_current=False)
    app.conf.broker_transport_options = {"global_keyprefix": "t:broker:", "priority_steps": [0]}
    hints = CeleryHints(app, "t")
    with run_store(store):
        assert hints.backlog("llm") == 0

        hints.publish([HINT] * 3)

        assert (hints.backlog("llm"), hints.backlog("tool")) == (3, 0)


def test_the_hints_of_one_connection_share_a_client_which_kombu_would_make_for_each(tmp_path: Path) -> None:
    store = EmbeddedStore(kind="broker", socket=tmp_path / "b.sock", folder=tmp_path)
    app = Celery(broker=f"redis+socket://{store.socket}", set_as_current=False)
    with run_store(store):
        made = {}
        for transport in (Transport, OneClientTransport):
            with app.connection_for_write() as connection:
                connection.transport_cls = transport
                channel = connection.channel()
                clients = []
                for _ in range(2):
                    with channel.conn_or_acquire() as client:
                        clients.append(client)
                made[transport] = len({id(client) for client in clients})

    # Two here would be reason enough to let Kombu's own transport be; one for Kombu's says that it is repaired.
    assert made == {Transport: 2, OneClientTransport: 1}
