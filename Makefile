# Entry points for people. `make up` and `make test` need nothing but Python 3.11-3.14 and make >= 3.81.

VENV ?= .venv
BIN = $(VENV)/bin
# Files in the order they are collected in (tests/conftest.py), not those with the most tests first.
PYTEST_ARGS ?= -n auto --dist loadfile --no-loadscope-reorder
PACKAGES = services tasks web deploy turnwright tests

.PHONY: up demo test check bench kill-test install install-dev lock

up: install
	@exec $(BIN)/turnwright up

# The whole way, on this machine alone: signed requests in, answers out.
demo: install-dev
	@$(BIN)/python -m tests.demo

test: install-dev
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/lint-imports

bench: install-dev
	@$(BIN)/python -m tests.benchmarks

# 500 turns under kill -9 of everything. KILL_TEST_ARGS="--seed 7" repeats a plan.
kill-test: install-dev
	@$(BIN)/python -m tests.chaos $(KILL_TEST_ARGS)

# The environment: content of the lock files decides, so a second run does nothing.
install:
	@VENV="$(VENV)" sh deploy/bootstrap.sh requirements.lock

install-dev:
	@VENV="$(VENV)" sh deploy/bootstrap.sh requirements-dev.lock

# Pins the newest versions that the *.in files and the extras of pyproject.toml allow, for every platform
# and Python at once. Needs uv.
LOCK = uv pip compile --quiet --upgrade --universal --generate-hashes --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make lock"

lock:
	$(LOCK) --all-extras pyproject.toml -o requirements.lock
	$(LOCK) --all-extras -c requirements.lock requirements-dev.in pyproject.toml -o requirements-dev.lock
