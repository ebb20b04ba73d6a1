"""The project's own source files, parsed once for the tests of its architecture."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("services", "tasks", "web", "deploy", "turnwright")
TESTS = "tests"
LUA = ROOT / "services" / "streams" / "lua"


def modules(*packages: str) -> list[Path]:
    """The Python files of some top-level folders, relative to the root."""
    return sorted(path.relative_to(ROOT) for package in packages for path in (ROOT / package).rglob("*.py"))


@cache
def text(path: Path) -> str:
    """A file's content."""
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def tree(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(text(path), str(path))


def lines(path: Path) -> int:
    """How long a file is."""
    return len(text(path).splitlines())


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Every function of a file, nested ones too, and how many lines it has."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def names(path: Path) -> Iterator[str]:
    """Every dotted name that a file imports or reads, such as `os.environ`."""
    for node in ast.walk(tree(path)):
        match node:
            case ast.Import(names=imported):
                yield from (each.name for each in imported)
            case ast.ImportFrom(module=module, names=imported) if module:
                yield from (f"{module}.{each.name}" for each in imported)
            case ast.Attribute():
                yield ast.unparse(node)
