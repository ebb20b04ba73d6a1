"""What the style promises of every module and can be told by looking at it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.sources import PRODUCT, ROOT, TESTS, modules, names, text, tree

PACKAGES = [path for path in modules(*PRODUCT) if path.name == "__init__.py"]
LONG_DOCSTRINGS = {
    "services/errors.py": "draws the tree of errors",
    "turnwright/__init__.py": "shows plugin authors how each kind is declared",
}
SLEEPERS = {
    "tests/worker/waiting.py": "the one place where tests wait for a condition",
    "tests/chaos/api.py": "a client that is told to come back later does",
}
OPEN_WORK = re.compile(r"\b(TODO|FIXME|XXX)\b")
THIS_FILE = Path(__file__).relative_to(ROOT)
WORDS = (
    "event",
    "stream",
    "offset",
    "reducer",
    "processor",
    "checkpoint",
    "anchor",
    "session",
    "turn",
    "run",
    "job",
    "lease",
    "outbox entry",
    "hint",
)


@pytest.mark.parametrize("path", PACKAGES, ids=str)
def test_a_package_holds_a_docstring_and_re_exports_at_most(path: Path) -> None:
    for number, node in enumerate(tree(path).body):
        is_docstring = number == 0 and isinstance(node, ast.Expr)
        is_export = isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        assert is_docstring or is_export or isinstance(node, ast.Import | ast.ImportFrom), ast.unparse(node)


def test_every_module_says_in_one_to_six_lines_what_it_owns() -> None:
    wrong = []
    for path in modules(*PRODUCT, TESTS):
        said = ast.get_docstring(tree(path))
        if not said or (len(said.splitlines()) > 6 and str(path) not in LONG_DOCSTRINGS):
            wrong.append(str(path))
    assert not wrong


def test_nothing_is_mocked_or_patched() -> None:
    patchers = ("unittest.mock", "mock", "pytest_mock")
    assert not [
        str(path) for path in modules(TESTS) if any(name.startswith(patchers) for name in names(path))
    ]


def test_tests_wait_for_conditions_and_do_not_sleep() -> None:
    # Benchmarks are not tests: they keep to a rate.
    waiting = [path for path in modules(TESTS) if "benchmarks" not in path.parts]
    sleeping = {str(path) for path in waiting if "time.sleep" in set(names(path))}
    assert sleeping <= SLEEPERS.keys()


def test_no_work_is_left_open() -> None:
    files = [*modules(*PRODUCT, TESTS), *(p.relative_to(ROOT) for p in ROOT.glob("services/**/*.lua"))]
    assert not [str(path) for path in files if path != THIS_FILE and OPEN_WORK.search(text(path))]


def test_the_readme_explains_the_words_that_the_code_uses() -> None:
    words = (ROOT / "README.md").read_text().partition("### Words")[2].partition("\n## ")[0]
    explained = words.lower()
    assert not [word for word in WORDS if word not in explained]
