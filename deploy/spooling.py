"""How a web process keeps webhooks: in the log store within the senders' patience, otherwise in this host's spool."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from services.engine import Engine
from services.inbound.answering import Answering
from services.logs import get_logger
from services.spool.drainer import Drainer
from services.spool.entry import Appender
from services.spool.facts import spool_gauges
from services.spool.file import SpoolFile
from services.spool.keeping import InLog, Keeper, OrSpooled
from services.spool.reach import Reach
from services.spool.spool import Spool
from services.streams.admission import RECORD, Guard, inspect_store, is_accepting
from services.streams.log import Log
from services.streams.store import Store, translated
from services.telemetry.counters import Gauge

# Slack waits 3 s in all. One answer of the store may take a second, the spool's turn one and a half.
ANSWER_S = 1.0


class Spooling(msgspec.Struct, frozen=True, kw_only=True):
    """`keeper` keeps webhooks, `is_ready` says whether it can, `gauges` what waits here."""

    keeper: Keeper
    is_ready: Callable[[], bool]
    gauges: Callable[[], list[Gauge]]


def start_spooling(engine: Engine) -> Spooling:
    """Begin to drain what waits on this host. For use after a fork; says in the log when there is no spool."""
    folder = engine.settings.spool.folder
    logger = get_logger("spool")
    if folder is None:
        logger.info("spool_off", reason=engine.settings.spool.off)
        return Spooling(
            keeper=InLog(_appender(engine.log)),
            is_ready=lambda: is_accepting(inspect_store(engine.store)),
            gauges=list,
        )
    logger.info("spool_on", folder=str(folder))
    store = _hasty_store(engine)
    appender, reach = _appender(_hasty_log(engine, store)), Reach(lambda: _ask(store))
    file = SpoolFile(folder)
    spool = Spool(file, engine.telemetry.counters)
    Drainer(appender, spool, file, reach, faults=engine.faults).start()
    return Spooling(
        keeper=OrSpooled(appender, spool, reach, engine.faults),
        is_ready=lambda: spool.has_room() or is_accepting(inspect_store(store)),
        gauges=lambda: spool_gauges(folder),
    )


def _hasty_store(engine: Engine) -> Store:
    """The log store, asked once more after a lost connection and never after a second without an answer."""
    counters = engine.telemetry.counters
    return Store(
        engine.store.url,
        timeout_s=ANSWER_S,
        retries=1,
        repeats_timeouts=False,
        timed=lambda script, seconds: counters.observe("turnwright_store_seconds", seconds, script),
    )


def _hasty_log(engine: Engine, store: Store) -> Log:
    return Log(
        store,
        engine.keys,
        idempotency_days=engine.config.retention.idempotency_days,
        woken=lambda stream: engine.wake.hint("advance", stream),
        guard=Guard(store, is_strict=True).check,
        tracer=engine.telemetry.tracer,
    )


def _appender(log: Log) -> Appender:
    answering = Answering(log.store, log.keys)
    return Appender(log, lambda entry: answering.keep(entry.stream, entry.key, entry.answer_at))


def _ask(store: Store) -> None:
    with translated():
        store.client.hgetall(RECORD)
