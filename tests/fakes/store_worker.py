"""A worker over a stage, without shortcuts to others: it follows the hints that a test gives it."""

from __future__ import annotations

from collections.abc import Mapping

from services.faults import Faults
from services.jobs.outcome import Runner
from services.jobs.slots import Slots
from services.jobs.wake import Wake
from services.jobs.worker import Worker
from services.streams.keys import JobKind
from tests.fakes.store_stage import Hand, NoHints, Stage


class Reports:
    """Keeps what a worker could not do."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def failed(self, what: str, id: str, error: BaseException) -> None:
        """Keep it."""
        self.errors.append(error)


def worker_on(
    stage: Stage, hand: Hand, runners: Mapping[JobKind, Runner], reports: Reports, *, shortcuts: bool = True
) -> Worker:
    """A worker in the name of `hand`. Without `shortcuts` it does what it is hinted at and nothing else."""
    return Worker(
        stage.keys,
        due=stage.due,
        claims=hand.claims,
        advancer=hand.advancer,
        runners=runners,
        deliverer=stage.deliverer,
        slots=Slots(10),
        wake=Wake(stage.keys, NoHints(), enabled=False),
        incarnation=hand.name,
        effect_of=lambda tool: "",
        reporter=reports,
        faults=Faults(None),
        shortcuts=shortcuts,
    )
