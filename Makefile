# make demo   try it: installs into .venv, runs examples/orders, shows what came out
# make test   every test, with real PostgreSQL and MariaDB servers, and the coverage gate
# make systemd-test   the units in a real systemd, booted in a container (root; half a minute more
#             the first time)
# make chaos  agents and service killed, paused, cut off and starved, in the numbers that count
#             (two hours; `make test` has a short form of it; CHAOS=tests/chaos/test_fence.py
#             makes the trials of one file only)
# make lint   format, lint, types, import directions, sizes
# make bench  measurements against their goals and peers in the same run, into bench/RESULTS.md
#             (about ten minutes; ARGS="p1 p3" makes these only and writes nothing)
# make clean  removes what the others made
#
# PYTHON=... chooses the interpreter (3.11 or newer).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo test systemd-test chaos lint bench lock clean

VENV := .venv
PEERS := .venv-bench
CHAOS := tests/chaos
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# The locks name every package with its hashes: nothing is left to resolve.
INSTALL := $(PIP) install --require-hashes --no-deps
PROJECT := $(PIP) install --no-deps --no-build-isolation --editable .

help:
	@sed -n 's/^# \{0,1\}//p; /^$$/q' Makefile

$(VENV)/stamp-venv:
	@scripts/make-venv $(VENV) $(PYTHON)
	@touch $@

$(VENV)/stamp-runtime: $(VENV)/stamp-venv requirements.lock pyproject.toml
	@echo "installing taskrunner into $(VENV) ..."
	@$(INSTALL) -r requirements.lock
# What an older checkout installed, when the project had another name: it holds the same files.
	@$(PIP) uninstall --yes taskrunner
	@$(PROJECT)
	@touch $@

$(VENV)/stamp-dev: $(VENV)/stamp-runtime requirements-dev.lock
	@echo "installing the development tools into $(VENV) ..."
	@$(INSTALL) -r requirements-dev.lock
	@touch $@

demo: $(VENV)/stamp-runtime
	@scripts/demo $(BIN)/taskrunner

test: $(VENV)/stamp-dev
	@scripts/install-servers
	@TMPDIR=$$(scripts/scratch-folder) $(BIN)/python scripts/check_leftovers.py -- \
	  $(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

# Without its tools, or without being root, these tests say so and are skipped.
systemd-test: $(VENV)/stamp-dev
	@scripts/install-systemd-tools
	@TASKRUNNER_SYSTEMD_TEST=1 $(BIN)/python scripts/check_leftovers.py -- \
		$(BIN)/python -m pytest tests/integration/test_systemd.py \
		tests/integration/test_systemd_boot.py $(ARGS)

chaos: $(VENV)/stamp-dev
	@scripts/install-servers
	@TMPDIR=$$(scripts/scratch-folder) TASKRUNNER_CHAOS=full \
	  $(BIN)/python scripts/check_leftovers.py -- $(BIN)/python -m pytest $(CHAOS) $(ARGS)

lint: $(VENV)/stamp-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_sizes.py

# What ours is measured beside has an environment of its own.
$(PEERS)/stamp: bench/requirements-bench.lock
	@scripts/make-venv $(PEERS) $(PYTHON)
	@echo "installing what ours is measured beside into $(PEERS) ..."
	@$(PEERS)/bin/python -m pip --disable-pip-version-check -qq install --require-hashes --no-deps \
	  -r bench/requirements-bench.lock
	@touch $@

bench: $(VENV)/stamp-dev $(PEERS)/stamp
	@scripts/install-servers redis
	@$(BIN)/python -m bench.run $(ARGS)

lock:
	scripts/lock

clean:
	rm -rf $(VENV) $(PEERS) .demo taskrunner-work htmlcov .coverage .coverage.* dist build
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
