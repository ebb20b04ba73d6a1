"""Every event type is documented by a shape; whoever consumes, emits or writes one names a type that exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.inbound.router import Router
from services.outbox.obligations import Obligations
from services.outbox.replies import Replies
from services.processors.agent.processor import Agent
from services.processors.agent.rules import Rules
from services.processors.breaker import Breaker
from services.processors.contract import EVERYTHING, Contract
from services.processors.lineage import Lineage
from services.schedule.outcomes import Outcomes
from services.schedule.processor import Schedule
from services.streams.event_types import SHAPES
from tests.architecture.sources import LUA, PRODUCT, modules, tree

BUILT_IN = (
    Agent(lambda name: Rules()).contract,
    Breaker(per_minute=60, burst=100).contract,
    Lineage.contract,
    Replies.contract,
    Obligations.contract,
    Router.contract,
    Schedule.contract,
    Outcomes.contract,
)
# What other programs rely on since the first release.
STABLE = frozenset(
    {
        "stream.created",
        "stream.paused",
        "stream.resumed",
        "input.received",
        "input.withdrawn",
        "turn.started",
        "turn.settled",
        "llm.requested",
        "llm.started",
        "llm.settled",
        "tool.requested",
        "tool.started",
        "tool.settled",
        "processor.attached",
        "processor.faulted",
        "reply.queued",
        "reply.delivered",
        "reply.uncertain",
        "reply.failed",
        "obligation.opened",
        "obligation.settled",
    }
)
FAMILIES = {name.partition(".")[0] for name in SHAPES}
_TYPE = re.compile(rf"(?:{'|'.join(sorted(FAMILIES))})\.[a-z_]+")


def test_the_types_that_others_rely_on_exist() -> None:
    assert SHAPES.keys() >= STABLE


@pytest.mark.parametrize("type", sorted(SHAPES))
def test_a_type_is_named_in_the_past_tense_and_its_shape_says_what_it_means(type: str) -> None:
    assert re.fullmatch(r"[a-z]+\.([a-z]+_)*[a-z]+(ed|n)", type), type
    shape = SHAPES[type]
    assert shape.__doc__, type
    assert not shape.__doc__.startswith(f"{shape.__name__}("), f"{type}: the docstring is made up"


@pytest.mark.parametrize("contract", BUILT_IN, ids=lambda contract: contract.name)
def test_a_processor_consumes_and_emits_types_that_exist(contract: Contract) -> None:
    if contract.consumes != EVERYTHING:
        assert contract.consumes <= SHAPES.keys()
    assert contract.emits <= SHAPES.keys()


def test_no_code_names_a_type_that_does_not_exist() -> None:
    unknown = {
        f"{path}: {literal}"
        for path in modules(*PRODUCT)
        for literal in _event_types(path)
        if literal not in SHAPES
    }
    assert not unknown


def test_the_scripts_write_types_that_exist() -> None:
    for script in LUA.glob("*.lua"):
        for ending in re.findall(r"\.kind \.\. '\.([a-z_]+)'", script.read_text()):
            assert {f"llm.{ending}", f"tool.{ending}"} <= SHAPES.keys(), script.name


def _event_types(path: Path) -> Iterator[str]:
    """Texts compared with `.type`, matched on it, or given to `EventInput.of` and the like."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.Compare(left=ast.Attribute(attr="type"), comparators=[right]):
                yield from _texts(right)
            case ast.Match(subject=ast.Attribute(attr="type"), cases=cases):
                for case in cases:
                    yield from _texts(case.pattern)
            case ast.Call(func=ast.Name(id="_emit" | "_event") | ast.Attribute(attr="of"), args=[first, *_]):
                yield from _texts(first)


def _texts(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and _TYPE.fullmatch(each.value):
            yield each.value
