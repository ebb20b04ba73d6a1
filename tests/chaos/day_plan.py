"""What happens on a simulated day: which triggers there are, how the clock goes on, what people and crashes do.

All of it follows from the seed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from typing import Literal

MINUTE, HOUR = 60_000, 3_600_000
FIVE = 5 * MINUTE
# (start of the day, zone whose clock is set in its night, hours until it is set)
NIGHTS: tuple[tuple[datetime, str], ...] = (
    (datetime(2026, 10, 25, 1, tzinfo=UTC), "Europe/Berlin"),
    (datetime(2027, 3, 28, 1, tzinfo=UTC), "Europe/London"),
    (datetime(2026, 11, 1, 6, tzinfo=UTC), "America/New_York"),
    (datetime(2027, 3, 14, 5, 30, tzinfo=UTC), "America/St_Johns"),
    (datetime(2026, 10, 3, 15, 30, tzinfo=UTC), "Australia/Lord_Howe"),
    (datetime(2027, 4, 3, 15, tzinfo=UTC), "Australia/Lord_Howe"),
)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe")
OFTEN = ("*/5 * * * *", "*/15 * * * *", "*/20 * * * *", "7,37 * * * *", "2-58/8 * * * *")
SELDOM = ("@hourly", "0 */2 * * *", "30 * * * *", "15 0-23/3 * * *", "0,20 1-22 * * sun-sat")
NIGHTLY = ("30 1 * * *", "10,40 2 * * *", "15 1-3 * * *", "*/30 * * * *", "5 2-4 * * *")

Body = Mapping[str, object]
POINTS = ("tick.claimed", "tick.appended", "advance.committed")
# `hold`: the model answers a session late; `pause`: a person pauses a session; `stop`: a process stands still. All of
# these end some steps later.
What = Literal[
    "define",
    "remove",
    "fire",
    "kill",
    "arm",
    "hold",
    "pause",
    "stop",
    "no_beats",
    "nobody",
    "outage",
    "back",
    "suspend",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something done before a step: to a trigger, a process or fault point called `target`, or to the clock by `ms`."""

    what: What
    target: str = ""
    body: Body = field(default_factory=dict)
    ms: int = 0
    times: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The clock goes on to `at` after the `deeds`; then all is waited for if it `rests`, else life goes on at once."""

    at: int
    rests: bool
    deeds: tuple[Deed, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large a day is. `hours` without those of the outages."""

    name: str
    hours: int
    mixed: int
    kills: int
    edits: int
    fires: int
    holds: int
    outage_h: float
    workers: int = 3
    beats: int = 3
    stores_die: bool = False
    suspends: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A day. `first` is what triggers are at its beginning."""

    start: int
    first: Mapping[str, Body]
    steps: tuple[Step, ...]


LONG = Scale(
    name="day",
    hours=23,
    mixed=18,
    kills=40,
    edits=16,
    fires=20,
    holds=6,
    outage_h=3.2,
    stores_die=True,
    suspends=True,
)
SHORT = Scale(name="night", hours=3, mixed=9, kills=6, edits=4, fires=4, holds=1, outage_h=1.6, workers=2)


def plan_of(scale: Scale, seed: int) -> Plan:
    """The day of that seed."""
    rng = random.Random(f"{seed}/{scale.name}")
    turn, zone = rng.choice(NIGHTS)
    start = int(turn.timestamp() * 1000) - scale.hours * HOUR // 2 + rng.randrange(0, 20) * MINUTE
    first = dict(_triggers(rng, scale, zone, start))
    return Plan(start=start, first=first, steps=tuple(_steps(rng, scale, first, start)))


def _triggers(rng: random.Random, scale: Scale, zone: str, start: int) -> Iterator[tuple[str, Body]]:
    policies = list(product(("skip", "latest", "all"), ("skip", "queue", "allow"), ("each", "one")))
    for n, (misfire, overlap, session) in enumerate(rng.sample(policies, scale.mixed)):
        name = f"{misfire}-{overlap}-{session}"
        often = n % 3 != 0
        cron = rng.choice(OFTEN if often else SELDOM)
        yield name, _body(cron, rng.choice(ZONES), misfire=misfire, overlap=overlap, session=session)
    for n, cron in enumerate(NIGHTLY):
        misfire = rng.choice(("latest", "all"))
        yield f"nightly-{n}", _body(cron, zone, misfire=misfire, session="one" if n % 2 else "each")
    yield "window", _body("*/10 * * * *", zone, misfire="all", catch_up_s=2700, overlap="allow")
    yield "strict", _body("*/5 * * * *", "UTC", misfire="all", catch_up_s=900, session="one")
    yield "paused", _body("*/15 * * * *", zone, paused=True)
    yield "each-minute", _body("* * * * *", "UTC", misfire="latest", overlap="skip", session="one")
    for n in range(2):
        at = start + rng.randrange(10, scale.hours * 60) * MINUTE + 7000
        yield f"once-{n}", {"prompt": "now", "at": at, "misfire": rng.choice(("latest", "all"))}


def _body(cron: str, zone: str, **more: object) -> Body:
    return {"prompt": "At {due} for {trigger}", "cron": cron, "tz": zone, **more}


def _steps(rng: random.Random, scale: Scale, first: Mapping[str, Body], start: int) -> Iterator[Step]:
    times = list(_times(rng, start, start + scale.hours * HOUR))
    last = len(times) - 3
    # The clock is set back where nobody changes a trigger: whose time it was then is not for the verdict to say.
    back = rng.randrange(1, last)
    deeds: dict[int, list[Deed]] = {back: [Deed(what="back", ms=rng.randrange(20_000, 110_000))]}
    others = [n for n in range(1, last) if n != back]
    for deed in _deeds(rng, scale, first):
        # Whoever is to die at a point needs time to get there.
        early = others[: len(others) * 2 // 3] if deed.what == "arm" else others
        deeds.setdefault(rng.choice(early), []).append(deed)
    # One is removed, and there again later.
    name = rng.choice([name for name in first if name.startswith("nightly")])
    gone, back = sorted(rng.sample(others, 2))
    deeds.setdefault(gone, []).append(Deed(what="remove", target=name))
    deeds.setdefault(back, []).append(Deed(what="define", target=name, body=first[name]))
    deeds.setdefault(last, []).append(Deed(what="define", target="each-minute", body=_body("@hourly", "UTC")))
    away = 0
    for n, at in enumerate(times):
        yield Step(
            at=at + away, rests=n + 2 >= len(times) or rng.random() < 0.6, deeds=tuple(deeds.get(n, ()))
        )
        away += sum(one.ms for one in deeds.get(n, ()) if one.what in ("outage", "nobody", "suspend"))


def _times(rng: random.Random, at: int, end: int) -> Iterator[int]:
    """Mostly a little after what is due at a whole five minutes, now and then far beyond."""
    while at < end:
        how = rng.random()
        if how < 0.65:
            at = at - at % FIVE + FIVE + rng.randrange(50, 30_000)
        elif how < 0.85:
            at += rng.randrange(6, 25) * MINUTE
        else:
            at += rng.randrange(15_000, 80_000)
        yield at
    # With time to look before the next is due.
    yield at - at % FIVE + FIVE + 1000


def _deeds(rng: random.Random, scale: Scale, first: Mapping[str, Body]) -> Iterator[Deed]:
    parts = [f"worker-{n + 1}" for n in range(scale.workers)] + [f"beat-{n + 1}" for n in range(scale.beats)]
    others = ["web", "log", "broker"] if scale.stores_die else []
    for n in range(scale.kills):
        if n % 2:
            yield Deed(what="kill", target=rng.choice([*parts, *others]))
        else:
            yield Deed(what="arm", target=POINTS[n // 2 % 3])
    yield Deed(what="outage", ms=int(scale.outage_h * HOUR))
    yield Deed(what="no_beats")
    away = rng.sample([name for name in first if first[name].get("cron")], 3)
    yield Deed(what="nobody", ms=HOUR, target=away[0], body=_changed(rng, first[away[0]]))
    if scale.suspends:
        yield Deed(what="suspend", ms=4 * HOUR)
    ones = [name for name in first if first[name].get("session") == "one"]
    for _ in range(scale.holds):
        yield Deed(what="hold", target=rng.choice(ones))
        yield Deed(what="pause", target=rng.choice(ones))
        yield Deed(what="stop", target=rng.choice(parts))
    yield Deed(what="hold", target="strict")
    yield Deed(what="remove", target=away[1])
    mixed = [
        name
        for name in first
        if "-" in name and name not in (away[1], "each-minute") and first[name].get("cron")
    ]
    for _ in range(scale.edits):
        name = rng.choice(mixed)
        yield Deed(what="define", target=name, body=_changed(rng, first[name]))
    yield Deed(what="define", target="paused", body=dict(first["paused"]) | {"paused": False})
    for _ in range(scale.fires):
        yield Deed(what="fire", target=rng.choice([*mixed, "window"]), times=rng.randrange(1, 4))


def _changed(rng: random.Random, body: Body) -> Body:
    """Another time, zone or way to miss; or paused. The overlap stays: what is open began under it."""
    changes: list[dict[str, object]] = [
        {"cron": rng.choice(OFTEN)},
        {"tz": rng.choice(ZONES)},
        {"misfire": rng.choice(("skip", "latest", "all"))},
        {"paused": True},
        {"catch_up_s": rng.choice((600, 3600, 14_400))},
    ]
    return {**body, **rng.choice(changes)}
