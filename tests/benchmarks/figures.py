"""What a measurement yields: figures, each with its bound, and how they are shown."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Verdict = Literal["PASS", "MISS", ""]


class NotMeasured(Exception):
    """Something stood in the way of a measurement; the text says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure. `bound` is the most it may be, `least` the least, both None where it only informs."""

    name: str
    value: float
    unit: str
    samples: int
    bound: float | None = None
    least: float | None = None
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Whether it keeps its bound."""
        if self.bound is None and self.least is None:
            return ""
        is_kept = (self.bound is None or self.value <= self.bound) and (
            self.least is None or self.value >= self.least
        )
        return "PASS" if is_kept else "MISS"

    @property
    def limits(self) -> str:
        """Its bound, as it is shown."""
        shown = [f"<= {self.bound:g} {self.unit}"] if self.bound is not None else []
        shown += [f">= {self.least:g} {self.unit}"] if self.least is not None else []
        return ", ".join(shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How to measure. `share` of the full number of samples is taken; `scratch` is a folder to write in."""

    share: float
    scratch: Path

    def count(self, full: int, *, least: int = 1) -> int:
        """The samples to take where a full run takes `full`."""
        return max(least, round(full * self.share))


Measurement = Callable[[Conditions], Sequence[Figure]]


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of `values` do not exceed. Raises: NotMeasured when there are none."""
    if not values:
        raise NotMeasured("there are no samples")
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def spread(
    name: str, values: Sequence[float], *, bounds: tuple[float | None, float | None], note: str = ""
) -> list[Figure]:
    """p50 and p99 of times in ms, with a bound for each."""
    p50, p99 = (percentile(values, percent) for percent in (50, 99))
    return [
        Figure(
            name=f"{name} p50", value=p50, unit="ms", samples=len(values), bound=bounds[0], note=_mean(values)
        ),
        Figure(name=f"{name} p99", value=p99, unit="ms", samples=len(values), bound=bounds[1], note=note),
    ]


def table(figures: Sequence[Figure]) -> str:
    """The figures as aligned text, a header first."""
    rows = [("figure", "value", "bound", "", "samples", "note")]
    rows += [
        (
            each.name,
            f"{each.value:.2f} {each.unit}",
            each.limits,
            each.verdict,
            str(each.samples),
            each.note,
        )
        for each in figures
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _mean(values: Sequence[float]) -> str:
    return f"mean {statistics.fmean(values):.1f}, max {max(values):.1f}"
