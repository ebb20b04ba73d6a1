"""How a web process keeps webhooks: in the log store within the senders' patience, otherwise in this host's spool."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from deploy.backend import Backend
from services.foundation import Foundation
from services.logs import get_logger
from services.spool.drainer import Drainer
from services.spool.facts import spool_gauges
from services.spool.file import SpoolFile
from services.spool.keeping import InLog, Keeper, OrSpooled
from services.spool.refused import RefusedWebhooks
from services.spool.spool import Spool
from services.streams.admission import inspect_store, is_accepting
from services.telemetry.counters import Gauge


class Spooling(msgspec.Struct, frozen=True, kw_only=True):
    """`keeper` keeps webhooks, `is_ready` says whether it can, `gauges` what waits here.

    `refused` are those that were kept and that the log did not take.
    """

    keeper: Keeper
    is_ready: Callable[[], bool]
    gauges: Callable[[], list[Gauge]]
    refused: RefusedWebhooks


def start_spooling(foundation: Foundation, backend: Backend) -> Spooling:
    """Begin to drain what waits on this host. For use after a fork; says in the log when there is no spool."""
    settings, counters = foundation.settings.spool, foundation.telemetry.counters
    logger = get_logger("spool")
    if settings.folder is None:
        logger.info("spool_off", reason=settings.off)
        return Spooling(
            keeper=InLog(backend.appender),
            is_ready=lambda: _takes(backend),
            gauges=list,
            refused=RefusedWebhooks(settings, None, counters),
        )
    folder, file = settings.folder, SpoolFile(settings.folder, namespace=foundation.settings.namespace)
    logger.info("spool_on", folder=str(folder))
    spool = Spool(file, counters)
    Drainer(backend.appender, spool, file, backend.reach, faults=foundation.faults).start()
    return Spooling(
        keeper=OrSpooled(backend.appender, spool, backend.reach, foundation.faults),
        is_ready=lambda: spool.has_room() or _takes(backend),
        gauges=lambda: spool_gauges(folder, namespace=foundation.settings.namespace),
        refused=RefusedWebhooks(settings, file, counters),
    )


def _takes(backend: Backend) -> bool:
    backend.appender()
    return is_accepting(inspect_store(backend.hasty))
