# make demo   try it: installs into .venv, runs examples/orders, shows what came out
# make unit   the unit tests, half a minute; ARGS="-k word" makes some of them
# make test   every test, with real PostgreSQL and MariaDB servers, and the coverage gate;
#             ARGS="tests/integration/test_sql.py -x" makes these only, one by one, without the gate
# make systemd-test   the units in a real systemd, booted in a container (root; half a minute more
#             the first time)
# make console-test   the console in a real browser: chromium, which root has apt install
# make chaos  agents and service killed, paused, cut off and starved, and told nonsense, in the
#             numbers that count (three hours; `make test` has a short form of it;
#             CHAOS=tests/chaos/test_fence.py makes the trials of one file only)
# make spark  Java and Spark (320 MB), without which a few tests are skipped
# make lint   format, lint, types, import directions, sizes
# make bench  measurements against their goals and peers in the same run, into bench/RESULTS.md
#             (an hour; ARGS="p1 c3" makes these only and writes nothing; TASKRUNNER_BENCH_ROWS=1000000
#             has C1 to C9 copy less than 5,000,000 rows)
# make dev    installs what all of these need into .venv, which they do by themselves
# make hooks  has git make the checks of `make lint` before each commit
# make lock   writes the lock files anew from pyproject.toml (needs uv)
# make clean  removes what the others made
#
# PYTHON=... chooses the interpreter (3.11 or newer), WORKERS=... how many processes share the tests;
# CPU=1 ends unit and test with the modules that took most processor time.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help demo unit test systemd-test console-test chaos spark dev lint hooks bench lock clean

# Tests start hundreds of interpreters: each would compile the whole program anew.
unexport PYTHONDONTWRITEBYTECODE
ifdef CPU
export TASKRUNNER_CPU := $(CPU)
endif

VENV := .venv
PEERS := .venv-bench
CHAOS := tests/chaos tests/security tests/fuzz tests/acceptance/test_memory.py \
  tests/acceptance/test_javascript_sdk.py \
  tests/acceptance/test_seed_rds_to_s3.py tests/acceptance/test_seed_dynamodb_to_s3.py \
  tests/integration/test_types.py
CORES := $(shell nproc 2>/dev/null || echo 2)
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq
# The locks name every package with its hashes: nothing is left to resolve.
INSTALL := $(PIP) install --require-hashes --no-deps
PROJECT := $(PIP) install --no-deps --no-build-isolation --editable .

help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

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
# 80 MB of source, of which little is ever run: that is compiled when it is.
	@$(INSTALL) --no-compile -r requirements-dev.lock
# Who may not write here would compile it at each start.
	@$(BIN)/python -m compileall -q -j 0 taskrunner
	@touch $@

# Built from its source package, by tools that pip fetches for it.
$(VENV)/stamp-spark: $(VENV)/stamp-dev requirements-spark.lock
	@echo "installing Spark into $(VENV) ..."
	@$(INSTALL) -r requirements-spark.lock
	@touch $@

spark: $(VENV)/stamp-spark
	@scripts/install-java

demo: $(VENV)/stamp-runtime
	@scripts/demo $(BIN)/taskrunner

# TMPDIR is in memory where there is enough, and must be empty again at the end.
CHECKED := TMPDIR=$$(scripts/scratch-folder) $(BIN)/python scripts/check_leftovers.py --
PYTEST := $(CHECKED) $(BIN)/python -m pytest

# Of each property Hypothesis tries fewer examples than in `make test`.
unit: WORKERS ?= $(CORES)
unit: export TASKRUNNER_EXAMPLES ?= 8
unit: $(VENV)/stamp-dev
	@$(PYTEST) tests/unit -q --numprocesses $(WORKERS) --dist worksteal $(ARGS)

# Much of the time is waiting, so that more processes than cores are quicker. Tests of one group
# (pytest.mark.xdist_group) stay in one process, one after the other.
test: WORKERS ?= $(shell echo $$(($(CORES) + 2)))
test: EVERYTHING = --numprocesses $(WORKERS) --dist loadgroup --no-loadscope-reorder \
  --cov --cov-report= --cov-fail-under=0
test: $(VENV)/stamp-dev
	@scripts/install-servers
	@$(PYTEST) $(if $(strip $(ARGS)),$(ARGS),$(EVERYTHING))
# The gate. pytest-cov would look through all files twice, once for the total alone.
	$(if $(strip $(ARGS)),,@$(BIN)/coverage report)

# Without its tools, or without being root, these tests say so and are skipped.
systemd-test: $(VENV)/stamp-dev
	@scripts/install-systemd-tools
	@TASKRUNNER_SYSTEMD_TEST=1 $(BIN)/python scripts/check_leftovers.py -- \
		$(BIN)/python -m pytest tests/integration/test_systemd.py \
		tests/integration/test_systemd_boot.py $(ARGS)

$(VENV)/stamp-browser: $(VENV)/stamp-dev requirements-browser.lock
	@$(INSTALL) -r requirements-browser.lock
	@touch $@

# Without chromium these tests say so and are skipped. Screenshots are left in build/console.
console-test: $(VENV)/stamp-browser
	@scripts/install-browser
	@TASKRUNNER_BROWSER_TEST=1 $(BIN)/python scripts/check_leftovers.py -- \
		$(BIN)/python -m pytest tests/browser -q $(ARGS)

chaos: $(VENV)/stamp-dev
	@scripts/install-servers dynalite
	@TASKRUNNER_CHAOS=full $(PYTEST) $(CHAOS) $(ARGS)

dev: $(VENV)/stamp-dev

lint: $(VENV)/stamp-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_sizes.py

hooks: $(VENV)/stamp-dev
	@$(BIN)/pre-commit install

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
