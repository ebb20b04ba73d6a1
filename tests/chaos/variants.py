"""What is run: the short plan of the test suite, the long one of `make kill-test`."""

from __future__ import annotations

from services.faults import POINTS
from tests.chaos.campaign import Variant
from tests.chaos.monkey import fault, kill, stop

ROLES = ("worker", "web", "web-child", "supervisor", "beat", "broker", "log")
WORKERS = ("worker", "worker", "worker")

# A stream whose taker died waits out the grace, a stopped worker's jobs wait out its lease.
QUICK = {"take_grace_s": 3.0}
LEASES = {
    "lease_ttl_s": 3.0,
    "lease_renew_s": 0.5,
    "take_grace_s": 3.0,
    "delivery_lease_s": 6.0,
    "delivery_least_s": 2.0,
    "delivery_timeout_s": 2.0,
}

# The first runs with the times of real life.
SHORT = (
    Variant(
        name="plain",
        turns=44,
        acts=(
            *map(kill, ("worker", "web", "supervisor", "log", "broker", "beat")),
            *map(
                fault,
                ("web.appended", "llm.streaming", "llm.failed", "tool.ran", "advance.taken", "deliver.sent"),
            ),
        ),
    ),
    Variant(
        name="no-shortcuts",
        turns=38,
        acts=(
            *map(kill, ("worker", "web-child", "log", "broker", "beat")),
            *map(fault, ("llm.claimed", "llm.settled", "advance.committed", "deliver.claimed")),
        ),
        shortcuts=False,
        timings=QUICK,
    ),
    Variant(
        name="stopped-workers",
        turns=38,
        acts=(
            stop(),
            stop(),
            *map(kill, ("worker", "worker", "log", "web")),
            *map(fault, ("llm.asking", "llm.answered", "tool.claimed")),
        ),
        timings=LEASES,
        stop_s=4.5,
    ),
)

LONG = (
    Variant(
        name="plain",
        turns=240,
        acts=(*map(kill, (*ROLES, *ROLES, *WORKERS, *WORKERS, "log", "web", "broker")), *map(fault, POINTS)),
    ),
    Variant(
        name="no-shortcuts",
        turns=130,
        acts=(*map(kill, (*ROLES, *WORKERS, "log", "broker")), *map(fault, POINTS)),
        shortcuts=False,
        timings=QUICK,
    ),
    Variant(
        name="stopped-workers",
        turns=130,
        acts=(
            *(stop() for _ in range(8)),
            *map(kill, (*ROLES, *WORKERS, "log", "web")),
            *map(fault, POINTS),
        ),
        timings=LEASES,
        stop_s=4.5,
    ),
)
