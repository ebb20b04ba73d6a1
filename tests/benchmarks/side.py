"""One side of a comparison: a server that takes prompts and replies to the sink, and its rounds."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec

from tests.benchmarks.attendants import ask
from tests.benchmarks.figures import NotMeasured
from tests.benchmarks.load import Plan, Report, prompts, send

_LOOK_EVERY_S = 0.05
_TIME_TO_ARRIVE_S = 120.0
# Every round has order numbers of its own, so that a late reply of one is not taken for another's.
_numbers = itertools.count(1)
_ROUND = 100_000


class Server(Protocol):
    """What is measured."""

    port: int
    token: str

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds used so far, by role."""

    def wait_until_nothing_is_owed(self, *, within_s: float = 60.0) -> None:
        """Wait until every turn is done. Raises: NotMeasured."""


class _Count(msgspec.Struct, frozen=True):
    orders: int
    repeats: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What came of some turns. `replies_ms`: from when a prompt was to be sent to its reply at the sink."""

    turns_per_s: float
    cpu_ms: Mapping[str, float]
    acks_ms: list[float]
    replies_ms: list[float]
    generator: Report

    @property
    def whole_cpu_ms(self) -> float:
        """CPU of a turn, all roles together."""
        return sum(self.cpu_ms.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A round of each of two sides, one right after the other."""

    one: Round
    other: Round

    def ratio(self, value: Callable[[Round], float]) -> float:
        """What is the one side's, in units of the other's."""
        return value(self.one) / value(self.other)


class Side:
    """A server whose replies arrive at the sink at `sink_url`."""

    def __init__(self, name: str, server: Server, sink_url: str) -> None:
        self.name = name
        self._server, self._sink_url = server, sink_url

    def round(self, turns: int, *, clients: int, rate_per_s: float = 0) -> Round:
        """Send prompts, as fast as they are accepted or at a rate, and wait for all replies. Raises: NotMeasured."""
        number = next(_numbers)
        plan = Plan(
            port=self._server.port,
            token=self._server.token,
            prompts=prompts(turns, callback=f"{self._sink_url}/reply", first=number * _ROUND),
            rate_per_s=rate_per_s,
            connections=clients,
            keys=f"round{number}",
        )
        before = self._server.cpu_s()
        report = send(plan)
        arrivals = self._arrivals(turns)
        self._server.wait_until_nothing_is_owed()
        after = self._server.cpu_s()
        due = [report.began + sent.due_s for sent in report.sent]
        return Round(
            turns_per_s=turns / (max(arrivals.values()) - min(due)),
            cpu_ms={role: (used - before.get(role, 0.0)) * 1000 / turns for role, used in after.items()},
            acks_ms=[sent.latency_ms for sent in report.sent],
            replies_ms=[(arrivals[number * _ROUND + i] - at) * 1000 for i, at in enumerate(due)],
            generator=report,
        )

    def _arrivals(self, turns: int) -> dict[int, float]:
        deadline = time.monotonic() + _TIME_TO_ARRIVE_S
        while (arrived := msgspec.json.decode(ask(self._sink_url, "/count"), type=_Count)).orders < turns:
            if time.monotonic() > deadline:
                raise NotMeasured(f"{self.name}: only {arrived.orders} of {turns} replies arrived")
            time.sleep(_LOOK_EVERY_S)
        return msgspec.json.decode(ask(self._sink_url, "/arrivals"), type=dict[int, float])


def alternate(
    one: Side, other: Side, *, rounds: int, turns: int, clients: int, rate_per_s: float = 0
) -> list[Pair]:
    """Rounds in the order one, other, other, one, one, ...: other load on the machine hits both."""
    pairs = []
    for number in range(rounds):
        order = (other, one) if number % 2 else (one, other)
        played = {side: side.round(turns, clients=clients, rate_per_s=rate_per_s) for side in order}
        pairs.append(Pair(one=played[one], other=played[other]))
    return pairs
