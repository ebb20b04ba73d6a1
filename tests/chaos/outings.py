"""What is run over Slack and GitHub: the short plan of the test suite, the long one of `--channels`."""

from __future__ import annotations

from tests.chaos.monkey import ambush, fault, kill, stop
from tests.chaos.thread_campaign import Outing

ROLES = ("worker", "web", "web-child", "beat", "log", "broker")
# Where a worker dies at will, and where somebody does who spools or takes what was spooled to the log.
POINTS = ("route.claimed", "route.appended", "deliver.claimed", "deliver.sent")
SPOOLING = ("spool.kept", "drain.taken", "drain.appended", "drain.removed")

# A stopped process stands still for longer than any of its leases lasts.
STOP_S = 7.0
LEASES = {
    "lease_ttl_s": 3.0,
    "lease_renew_s": 0.5,
    "take_grace_s": 3.0,
    "delivery_lease_s": 6.0,
    "delivery_least_s": 2.0,
    "delivery_timeout_s": 2.0,
}

SHORT = (
    Outing(
        name="channels",
        mentions=40,
        acts=(
            *map(kill, ("worker", "web", "log")),
            stop("log"),
            ambush("saying"),
            *map(fault, ("route.appended", "deliver.sent")),
        ),
        points=("spool.kept", "drain.appended"),
        timings=LEASES,
        stop_s=STOP_S,
    ),
)

LONG = (
    Outing(
        name="channels",
        mentions=200,
        acts=(
            *map(kill, (*ROLES, *ROLES, "worker", "worker", "supervisor", "log")),
            *map(stop, ("worker", "worker", "worker", "web", "web-child", "beat", "log", "log")),
            *map(ambush, ("saying", "saying", "saying", "looking", "looking", "looking")),
            *map(fault, (*POINTS, *POINTS)),
        ),
        points=SPOOLING,
        timings=LEASES,
        stop_s=STOP_S,
    ),
    Outing(
        name="channels-no-spool",
        mentions=100,
        acts=(
            *map(kill, (*ROLES, "log", "worker", "supervisor")),
            *map(stop, ("worker", "log", "web-child", "broker")),
            *map(ambush, ("saying", "looking", "looking")),
            *map(fault, POINTS),
        ),
        has_spool=False,
        timings=LEASES,
        stop_s=STOP_S,
    ),
    # Hardly an answer of Slack and GitHub arrives: what nobody can know in two attempts is uncertain.
    Outing(
        name="channels-in-doubt",
        mentions=60,
        acts=(
            *map(kill, ("worker", "worker", "log", "web")),
            *map(ambush, ("saying", "looking", "looking")),
            *map(fault, ("deliver.claimed", "deliver.sent")),
        ),
        attempts=2,
        saying=0.7,
        looking=0.5,
        timings=LEASES,
        stop_s=STOP_S,
    ),
)
