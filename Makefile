# Ebbtide. A bare machine needs Python 3.11+, make and a compiler; `make setup` does the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ebbtide-ready
PORT   ?= 9092
TESTS  ?= tests
# Two a core: many tests wait for brokers, sessions and processes.
PROCESSES ?= $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')

.PHONY: help setup demo test long ray simulate chaos fuzz neighbours quality study bench bench-gate lint format docs kafka lock

help: ## what there is to make
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with .venv/bin/ebbtide

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: Ebbtide needs Python 3.11 or newer; name one with: make setup PYTHON=python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "error: no virtual environment could be made; on Debian: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

demo: setup ## a simulated shop, live in this terminal, for about a minute
	@$(BIN)/ebbtide demo

test: setup ## every test, against the embedded broker, and Apache Kafka where Java 17 and Maven are found
	$(BIN)/pytest --numprocesses=$(PROCESSES) --dist=loadfile --no-loadscope-reorder $(TESTS)

long: setup ray ## the tests that take minutes each: whole logs
	$(BIN)/pytest --numprocesses=auto --dist=loadfile -m long $(TESTS)

ray: setup ## Ray into .venv, for `ebbtide backfill --workers N`
	@$(BIN)/python -c 'import ray' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-ray.lock

simulate: setup ## seeded schedules of faults in virtual time, over all cores (SEEDS=1000 SEED_START=0)
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),1000) --seed-start $(or $(SEED_START),0)

chaos: setup ## Apache Kafka, workers and trainer under load, killed and frozen (SEED=any MINUTES=40 CLOCK=log)
	@$(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),40) --clock $(or $(CLOCK),log) $(if $(SEED),--seed $(SEED))

INPUTS ?= 1000000
SEED   ?= 1
fuzz: setup ## a million inputs against everything that reads bytes; nothing may raise (INPUTS=1000000 SEED=1)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-fuzz.lock
	@$(BIN)/python -m tests.fuzz.run --inputs $(INPUTS) --seed $(SEED)

USERS ?= 1000000
neighbours: setup ## bursts, large records, a slow Kafka, a hot user, a wrong clock, a million strangers (USERS=1000000)
	@$(BIN)/python -m tests.neighbours --users $(USERS)

quality: setup ## churn as served on the real logs, beside LightGBM (ONLY=log KEPT=folder JSON=file LIGHTGBM=1 to refit it)
	@test -z "$(LIGHTGBM)" || $(BIN)/python -c 'import lightgbm' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-study.lock
	@$(BIN)/python -m tests.quality $(if $(ONLY),--only '$(ONLY)') $(if $(KEPT),--kept $(KEPT)) $(if $(JSON),--json $(JSON)) \
		$(if $(LIGHTGBM),--lightgbm)

study: setup ## candidates and families of features on the real logs, a table out (SETS=or,cj QUICK=1 ONLY='SGD;posterior')
	@$(BIN)/python -c 'import lightgbm' 2>/dev/null || \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-study.lock
	@$(BIN)/python -m tests.study $(if $(SETS),--sets $(SETS)) $(if $(QUICK),--one-user-in 12) $(if $(ONLY),--only '$(ONLY)') \
		$(if $(RESUME),--resume)

# All of it, or with DOCS=1 whatever was asked for, is written down: docs/performance.json, two flame graphs and docs/performance.md.
BENCH_DOCS := $(if $(or $(DOCS),$(if $(ONLY)$(EVENTS)$(SHORT),,1)),1)
BENCH_READY := $(VENV)/.ebbtide-bench-ready
bench: ray $(BENCH_READY) ## what everything costs, a table with ratios (ONLY='engine restore' EVENTS=2000000 SHORT=1 FULL=1 JSON=file DOCS=1)
	@$(BIN)/python -m tests.bench $(if $(ONLY),--only $(ONLY)) $(if $(EVENTS),--events $(EVENTS)) $(if $(SHORT),--short) \
		$(if $(FULL),--full) $(if $(REPEATS),--repeats $(REPEATS)) \
		$(if $(JSON),--json $(JSON),$(if $(BENCH_DOCS),--json docs/performance.json))
	@$(if $(BENCH_DOCS),$(BIN)/python -m tests.bench.report)

$(BENCH_READY): $(READY) requirements-bench.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-bench.lock
	@touch $@

bench-gate: setup ## the ratios that a change may not spoil, in about a minute
	@$(BIN)/python -m tests.bench.gate

lint: setup ## ruff, mypy --strict and the import arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup ## lay the code out
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: setup ## write docs/reference.md, docs/messages.md, docs/schemas and the lists of SECURITY.md anew from the code
	$(BIN)/python -m docs.make_reference
	$(BIN)/python -m docs.make_messages
	$(BIN)/python -m docs.make_security

kafka: setup ## one Apache Kafka broker on loopback (PORT=9092), until Ctrl-C
	@$(BIN)/python -m deploy.kafka.run --port $(PORT)

# Universal: the same files for every platform and Python from 3.11 on. No index is named in them.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-header --annotation-style line
lock: setup ## pin anew what pyproject.toml asks for
	$(LOCK) pyproject.toml --extra embedded --output-file requirements.lock
	$(LOCK) pyproject.toml --extra embedded --extra dev --output-file requirements-dev.lock
	$(LOCK) pyproject.toml --extra ray --constraint requirements-dev.lock --output-file requirements-ray.lock
	$(LOCK) --group fuzz --output-file requirements-fuzz.lock
	$(LOCK) --group study --constraint requirements-dev.lock --output-file requirements-study.lock
	$(LOCK) --group bench --constraint requirements-dev.lock --output-file requirements-bench.lock
	for rival in faust quix bytewax; do \
		$(LOCK) tests/bench/rivals/requirements/$$rival.in --output-file tests/bench/rivals/requirements/$$rival.lock; \
	done
