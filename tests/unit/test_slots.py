"""Slots: reductions and tools always find a thread, however many models are slow."""

from __future__ import annotations

from services.jobs.slots import Slots


def test_outside_work_leaves_eight_threads_to_reductions() -> None:
    slots = Slots(50)
    assert sum(slots.reserve("tool") for _ in range(60)) == 42
    assert not slots.reserve("llm")
    assert slots.free == 0


def test_slow_models_leave_room_for_tools() -> None:
    slots = Slots(50)
    assert sum(slots.reserve("llm") for _ in range(60)) == 38
    assert not slots.has_room("llm")
    assert sum(slots.reserve("tool") for _ in range(60)) == 4


def test_the_smallest_process_has_a_slot_for_each() -> None:
    slots = Slots(10)
    assert slots.reserve("llm")
    assert not slots.reserve("llm")
    assert slots.reserve("tool")


def test_who_goes_on_with_a_model_after_a_tool_needs_room_among_the_models() -> None:
    slots = Slots(10)
    assert slots.reserve("tool")
    assert slots.reserve("llm")

    assert not slots.change("tool", "llm")
    assert slots.change("llm", "tool")
    assert slots.change("tool", "llm")
    assert slots.free == 0


def test_what_is_given_back_is_there_again() -> None:
    slots = Slots(9)
    assert slots.reserve("llm")
    slots.release("llm")
    assert slots.reserve("tool")


def test_slow_receivers_leave_a_quarter_of_the_slots_to_models_and_tools() -> None:
    slots = Slots(50)
    assert sum(slots.reserve("deliver") for _ in range(60)) == 31
    assert slots.reserve("llm")
    assert not slots.change("llm", "deliver")
