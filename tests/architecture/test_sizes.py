"""Modules and functions stay small enough to be read in one go."""

from __future__ import annotations

import warnings

import pytest

from tests.architecture.sources import PRODUCT, TESTS, functions, lines, modules

LONGEST_MODULE = 400
LONGEST_TEST_MODULE = 600
LONGEST_FUNCTION = 60
# Above this a module needs a reason.
LONG_MODULE = 300
REASONS = {
    "services/streams/log.py": "append, read, follow and pause are one object's methods over one encoding",
    "services/streams/vocabulary.py": "the one list of everything that can happen, read as a reference",
}


def test_no_module_of_the_product_is_too_long() -> None:
    assert not {str(path): lines(path) for path in modules(*PRODUCT) if lines(path) > LONGEST_MODULE}


def test_no_test_module_is_too_long() -> None:
    assert not {str(path): lines(path) for path in modules(TESTS) if lines(path) > LONGEST_TEST_MODULE}


def test_no_function_is_too_long() -> None:
    long = {
        f"{path}:{name}": size
        for path in modules(*PRODUCT, TESTS)
        for name, size in functions(path)
        if size > LONGEST_FUNCTION
    }
    assert not long


def test_long_modules_have_a_reason() -> None:
    long = {str(path): lines(path) for path in modules(*PRODUCT) if lines(path) > LONG_MODULE}
    for path in long.keys() - REASONS.keys():
        warnings.warn(f"{path} has {long[path]} lines and no reason for it", stacklevel=1)


@pytest.mark.parametrize("path", REASONS)
def test_a_reason_that_is_no_longer_needed_goes(path: str) -> None:
    found = {str(each): lines(each) for each in modules(*PRODUCT)}
    assert found.get(path, 0) > LONG_MODULE, f"{path} is short enough: delete its reason"
