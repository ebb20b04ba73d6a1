"""What threads of a worker may begin: a slot goes with a reduction, for the request that follows from it."""

from __future__ import annotations

import pytest

from services.jobs import errands as module
from services.jobs.errands import SLOTLESS, Errand, Errands
from services.jobs.slots import Slots
from services.streams.event import JobId


@pytest.fixture
def errands() -> Errands:
    return Errands(Slots(10))


def reducing(errands: Errands) -> list[Errand]:
    """Errands that reduce, until no more may."""
    begun: list[Errand] = []
    while (one := errands.begin()).may_reduce():
        begun.append(one)
    return begun


def test_a_reduction_holds_the_slot_of_the_request_that_follows(errands: Errands) -> None:
    errand = errands.begin()
    assert errand.may_reduce()
    other = errands.begin()

    assert errand.reserve(JobId("s@1"), "llm")
    assert not other.reserve(JobId("t@1"), "llm")


def test_a_slot_that_no_request_needed_is_given_back(errands: Errands) -> None:
    errand = errands.begin()
    assert errand.may_reduce()
    errand.close()

    assert errands.begin().reserve(JobId("s@1"), "llm")


def test_while_every_model_slot_is_taken_a_few_threads_still_reduce(errands: Errands) -> None:
    begun = reducing(errands)

    assert len(begun) == 1 + SLOTLESS
    assert not errands.has_room()
    begun[-1].close()
    assert errands.has_room()


def test_a_reduction_that_hangs_stands_in_nobodys_way(
    errands: Errands, monkeypatch: pytest.MonkeyPatch
) -> None:
    reducing(errands)
    monkeypatch.setattr(module, "SOON_S", 0.0)

    assert errands.begin().may_reduce()


def test_while_slots_come_free_reductions_wait_for_one(
    errands: Errands, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = errands.begin()
    assert first.may_reduce()
    first.close()
    monkeypatch.setattr(module, "JAM_S", 3600.0)

    assert len(reducing(errands)) == 1
    assert not errands.has_room()
