# Everything a person, CI and the docs run. Each target sets up what it needs; `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The Python that makes .venv: the first of these that is 3.11 to 3.13 and can make one. `make setup PYTHON=...` overrides.
PYTHON ?=
CANDIDATES := python3 python3.12 python3.11 python3.13 python
IS_FIT := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

BIN := .venv/bin
READY := .venv/.ready
UV := $(BIN)/python -m uv
PYTEST := $(BIN)/python -m pytest
# Whole files on two processes: files share nothing, tests of one file may share what is expensive to start.
# The longest begin first (tests/conftest.py), else xdist begins with those that have the most tests.
SIDE_BY_SIDE := --numprocesses 2 --dist loadfile --no-loadscope-reorder
# Numerical libraries start one thread per core each; in tests many processes share the cores.
test test-all: export OMP_NUM_THREADS ?= 1
test test-all: export OPENBLAS_NUM_THREADS ?= 1
test test-all: export MKL_NUM_THREADS ?= 1

.PHONY: help setup python demo test test-all lint bench test-ui test-compose up down lock clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## make .venv and install the locked requirements (again, when they change)
	@echo "Ready: .venv holds $$(grep -c == requirements-dev.txt) locked packages. Next: make demo"

$(READY): requirements-dev.txt requirements.in pyproject.toml deploy/requirements-uv.txt
	@if [ ! -x $(BIN)/python ]; then \
	  found=$$($(MAKE) python); \
	  echo "Making .venv with $$("$$found" --version)"; \
	  "$$found" -m venv .venv; \
	fi
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r deploy/requirements-uv.txt
	@echo "Installing the locked requirements (the first time a few minutes)"
	@$(UV) pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements-dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

python:
	@for python in $(or $(PYTHON),$(CANDIDATES)); do \
	  if "$$python" -c '$(IS_FIT)' 2>/dev/null; then echo "$$python"; exit 0; fi; \
	done; \
	echo "No Python 3.11 to 3.13 with its venv module among: $(or $(PYTHON),$(CANDIDATES))." >&2; \
	echo "Install one (Debian, Ubuntu: apt install python3-venv), or name one: make setup PYTHON=/path/to/python3.12" >&2; \
	exit 2

demo: $(READY)  ## the whole loop on real Airflow, MLflow and flights; Ctrl-C ends it (KEEP=0: ends by itself)
	@$(BIN)/python -m retraining_airflow.demo

test: $(READY)  ## unit, contract and DAG tests, and one loop end to end
	@$(PYTEST) tests/unit tests/contract tests/dags tests/e2e -m "not slow and not ui and not compose" $(SIDE_BY_SIDE) --durations=5

test-all: $(READY)  ## the same, then the slow tests (kills, forks, PostgreSQL)
	@$(MAKE) test
	@$(PYTEST) tests -m "slow and not ui and not compose" $(SIDE_BY_SIDE) --durations=10

lint: $(READY)  ## style, format, types and import rules
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy include
	@$(BIN)/lint-imports

bench: $(READY)  ## measure speed and memory side by side
	@$(BIN)/python -m benchmarks

test-ui: $(READY)  ## tests in a real browser
	@if [ -d tests/ui ]; then $(PYTEST) tests/ui -m ui; else echo "There are no browser tests yet."; fi

test-compose: $(READY)  ## start docker-compose.yaml under a name and ports of its own, and retrain in it
	@$(PYTEST) tests/compose -m compose --timeout=2400 --capture=no --verbose

up:  ## start the services of docker-compose.yaml (secrets are made at the first start)
	@deploy/up

down:  ## stop them; the data stays (VOLUMES=1: is deleted)
	@deploy/down

lock: $(READY)  ## compile requirements.in and requirements-dev.in (UPGRADE=1: to the newest versions)
	@for name in requirements requirements-dev; do \
	  $(UV) pip compile --quiet --universal --python-version 3.11 $(if $(filter 1,$(UPGRADE)),--upgrade) \
	    --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $$name.in -o $$name.txt; \
	done
	@wc -l requirements.txt requirements-dev.txt

clean:  ## delete .venv and caches (the data in .retraining stays)
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@find include -maxdepth 1 -name '*.egg-info' -exec rm -rf {} +
