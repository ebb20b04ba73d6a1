"""Triggers: what ten thousand cost while nothing is due, how late a tick is, how soon missed ones are caught up with.

The platform is the real one with its one beat, and the stub model. Four hours pass at once, by the store's clock.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass

import msgspec

from services.schedule.checks import NoPlaces
from services.sessions.trigger_values import TickPage, TickView
from services.sessions.triggers import Triggers
from services.settings import embedded_addresses
from services.streams.keys import Keys
from services.streams.log import Log
from services.streams.schedule_events import Definition, Misfire
from services.streams.store import Store
from tests.benchmarks.figures import Conditions, Figure, NotMeasured, percentile
from tests.benchmarks.platform import Platform, move_clock, run_platform
from tests.fakes.store_servers import console

MANY, IDLE_S = 10_000, 30.0
MOST_IDLE, MOST_LATE_MS, MOST_CATCH_UP_S = 5.0, 1_000.0, 60.0
MISSED, HOURS = 1_000, 4
HOUR_MS, MINUTE_S = 3_600_000, 60
DEFINERS = 8
WITHIN_S = 240.0
_COUNTED = re.compile(r'^turnwright_ticks_total\{state="dispatched"\} ([0-9.e+]+)$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Missed:
    """Triggers that nobody looked after for four hours, and how many ticks `each` has to do then."""

    misfire: Misfire
    cron: str
    each: int


def measure_schedule(conditions: Conditions) -> Sequence[Figure]:
    """10,000 hourly triggers, spread over the minutes; then what 1,000 missed in four hours, by policy."""
    figures: list[Figure] = []
    with run_platform(conditions.scratch) as platform:
        figures += _many(platform, conditions.count(MANY, least=500))
    for missed in (Missed("all", "{minute} * * * *", HOURS), Missed("latest", "* * * * *", 1)):
        with run_platform(conditions.scratch) as platform:
            figures.append(_catch_up(platform, conditions.count(MISSED, least=100), missed))
    return figures


def _many(platform: Platform, count: int) -> Iterator[Figure]:
    with _triggers(platform) as triggers:
        _define(triggers, [(f"t{n}", _hourly(n)) for n in range(count)])
        _wait(lambda: _looked_at(triggers) >= count, "triggers were not looked at")
        first = _pass_minute()
        second = _pass_minute()
        # Between two minutes nothing is due.
        _sleep_until(second * MINUTE_S + 20)
        before = platform.cpu_s()
        _sleep_until(second * MINUTE_S + 20 + IDLE_S)
        spent = {role: cpu - before.get(role, 0.0) for role, cpu in platform.cpu_s().items()}
    due = [n for n in range(count) if n % 60 in (first % 60, second % 60)]
    late = [
        each.dispatched_at - each.due for n in due for each in _ticks(platform, f"t{n}") if each.dispatched_at
    ]
    if len(late) < len(due):
        raise NotMeasured(f"{len(due) - len(late)} of {len(due)} ticks were not dispatched")
    others = ", ".join(f"{role} {cpu / IDLE_S * 100:.1f} %" for role, cpu in spent.items() if role != "beat")
    yield Figure(
        name=f"beat's CPU with {count} triggers, nothing due",
        value=spent.get("beat", 0.0) / IDLE_S * 100,
        unit="%",
        samples=1,
        bound=MOST_IDLE,
        note=others,
    )
    yield Figure(
        name="due to dispatched p99",
        value=percentile(late, 99),
        unit="ms",
        samples=len(late),
        bound=MOST_LATE_MS,
        note=f"p50 {percentile(late, 50):.0f}, {len(late) // 2} at once",
    )


def _catch_up(platform: Platform, count: int, missed: Missed) -> Figure:
    with _triggers(platform) as triggers:
        move_clock(platform, -HOURS * HOUR_MS)
        _define(triggers, [(f"t{n}", _missing(n, missed)) for n in range(count)])
        _wait(lambda: _looked_at(triggers) >= count, "triggers were not looked at")
        wanted, before = count * missed.each, _dispatched(platform)
        began = time.monotonic()
        move_clock(platform, 0)
        _wait(lambda: _dispatched(platform) - before >= wanted, f"{wanted} missed ticks were not dispatched")
        took_s = time.monotonic() - began
        _check(platform, count, missed)
    return Figure(
        name=f"catching up with {HOURS} h of {count} triggers, {missed.misfire}",
        value=took_s,
        unit="s",
        samples=wanted,
        bound=MOST_CATCH_UP_S,
        note=f"{wanted / took_s:.0f} ticks a second, each with a turn of its own",
    )


def _missing(n: int, missed: Missed) -> Definition:
    cron = missed.cron.format(minute=n % 60)
    return Definition(prompt="Go", cron=cron, misfire=missed.misfire, catch_up_s=6 * 3600)


def _hourly(n: int) -> Definition:
    return Definition(prompt="Go", cron=f"{n % 60} * * * *", overlap="allow")


def _define(triggers: Triggers, definitions: Sequence[tuple[str, Definition]]) -> None:
    with ThreadPoolExecutor(DEFINERS) as pool:
        list(pool.map(lambda given: triggers.define(*given), definitions))


def _looked_at(triggers: Triggers) -> int:
    """How many of the triggers wait for their next time, in the due sets of the store."""
    log = triggers.log
    now = next(triggers.every())[1].now
    with console(log.store.url) as bare:
        sets = [log.keys.due(shard, "advance") for shard in range(log.keys.shards)]
        return sum(int(bare.execute_command("ZCOUNT", each, now + 1, "+inf")) for each in sets)


def _dispatched(platform: Platform) -> float:
    found = _COUNTED.search(platform.get("/metrics").decode())
    return float(found[1]) if found else 0.0


def _check(platform: Platform, count: int, missed: Missed) -> None:
    """Hold the count against the ledger. Raises: NotMeasured."""
    for n in range(count):
        found = [each for each in _ticks(platform, f"t{n}") if each.state == "dispatched"]
        if len(found) < missed.each:
            raise NotMeasured(f"trigger t{n} has {len(found)} of {missed.each} ticks dispatched")


def _ticks(platform: Platform, trigger: str) -> Sequence[TickView]:
    raw = platform.get(f"/api/triggers/{trigger}/ticks?limit=10")
    return msgspec.json.decode(raw, type=TickPage).ticks


@contextmanager
def _triggers(platform: Platform) -> Iterator[Triggers]:
    with closing(Store(embedded_addresses(platform.home)[0])) as store:
        yield Triggers(Log(store, Keys()), ("default",), NoPlaces())


def _pass_minute() -> int:
    """Wait until a minute begins, and well into it; its number since the epoch."""
    minute = int(time.time()) // MINUTE_S + 1
    _sleep_until(minute * MINUTE_S + 10)
    return minute


def _sleep_until(at_s: float) -> None:
    time.sleep(max(0.0, at_s - time.time()))


def _wait(condition: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + WITHIN_S
    while not condition():
        if time.monotonic() > ends:
            raise NotMeasured(what)
        time.sleep(0.2)
