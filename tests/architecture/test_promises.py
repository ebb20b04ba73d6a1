"""What the style asks of code line by line: whoever breaks a rule says why, and what is public is explained."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from services.faults import INBOUND_POINTS, POINTS, SCHEDULE_POINTS
from tests.architecture.sources import PRODUCT, ROOT, TESTS, modules, text, tree

MOST_POSITIONAL = 5
EVERYTHING = {"Exception", "BaseException"}
OPEN_TYPES = {"execute": "services/streams/commands.py: one type per queued command"}
GROWING = {"Plan": "services/processors/plan.py: filled step by step, by one pass"}
THIS_FILE = Path(__file__).relative_to(ROOT)
IGNORED = re.compile(r"#\s*type:\s*ignore(.*)")
WITH_REASON = re.compile(r"\[[\w, -]+\]\s+#\s*\S")


def _functions(path: Path, *, public: bool = False) -> Iterator[ast.FunctionDef]:
    """Functions of a module and methods of its classes; `public`: those that others may call."""
    bodies = [tree(path).body]
    while bodies:
        for node in bodies.pop():
            if public and isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name.startswith("_"):
                continue
            if isinstance(node, ast.ClassDef):
                bodies.append(node.body)
            elif isinstance(node, ast.FunctionDef):
                yield node


def _classes(path: Path) -> Iterator[ast.ClassDef]:
    yield from (node for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef))


def _is_stub(function: ast.FunctionDef | ast.ClassDef) -> bool:
    return len(function.body) == 1 and ast.unparse(function.body[0]) == "..."


def test_whoever_catches_everything_raises_it_again_or_says_why() -> None:
    silent = []
    for path in modules(*PRODUCT):
        lines = text(path).splitlines()
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = (
                {each.id for each in ast.walk(node.type) if isinstance(each, ast.Name)}
                if node.type
                else EVERYTHING
            )
            goes_on = ast.unparse(node.body[-1]) == "raise"
            said = any("#" in line for line in lines[node.lineno - 1 : node.body[0].lineno])
            if caught & EVERYTHING and not goes_on and not said:
                silent.append(f"{path}:{node.lineno}")
    assert not silent


def test_what_is_public_is_explained() -> None:
    unexplained = []
    for path in modules(*PRODUCT):
        found: list[ast.FunctionDef | ast.ClassDef] = [*_functions(path, public=True), *_classes(path)]
        unexplained += [
            f"{path}:{each.lineno} {each.name}"
            for each in found
            if not each.name.startswith("_") and not ast.get_docstring(each) and not _is_stub(each)
        ]
    assert not unexplained


def test_what_the_type_checker_is_told_to_ignore_has_a_code_and_a_reason() -> None:
    unexplained = [
        f"{path}:{number}"
        for path in modules(*PRODUCT, TESTS)
        for number, line in enumerate(text(path).splitlines(), start=1)
        if (found := IGNORED.search(line)) and not WITH_REASON.match(found.group(1))
        if path != THIS_FILE
    ]
    assert not unexplained


def test_a_function_takes_few_parameters_by_their_place() -> None:
    many = {
        f"{path}:{each.name}": len(places)
        for path in modules(*PRODUCT)
        for each in _functions(path)
        if len(places := [a for a in each.args.posonlyargs + each.args.args if a.arg not in ("self", "cls")])
        > MOST_POSITIONAL
    }
    assert not many


def test_no_public_signature_takes_or_gives_anything_at_all() -> None:
    open_ = {
        each.name
        for path in modules(*PRODUCT)
        for each in _functions(path, public=True)
        for note in (each.returns, *(a.annotation for a in (*each.args.args, *each.args.kwonlyargs)))
        if note is not None and any(isinstance(n, ast.Name) and n.id == "Any" for n in ast.walk(note))
    }
    assert open_ == OPEN_TYPES.keys()


def test_values_are_frozen() -> None:
    loose = set()
    for path in modules(*PRODUCT):
        for each in _classes(path):
            made = [call for call in each.decorator_list if ast.unparse(call).startswith("dataclass")]
            is_value = bool(made) or "msgspec.Struct" in map(ast.unparse, each.bases)
            told = " ".join(map(ast.unparse, (*made, *each.keywords)))
            if is_value and "frozen=True" not in told:
                loose.add(each.name)
    assert loose == GROWING.keys()


def test_every_point_where_tests_kill_is_listed_and_every_listed_one_is_there() -> None:
    used = {
        point
        for path in modules(*PRODUCT)
        for point in re.findall(r'[fF]aults\.at\("([a-z.]+)"\)', text(path))
    }
    assert used == {*POINTS, *INBOUND_POINTS, *SCHEDULE_POINTS}
