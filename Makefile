# Everything that is done often. `make` alone lists it.
#
# PYTHON=/path/to/python3   the interpreter for .venv (otherwise a Python 3.11 or newer is looked for)
# ARGS="..."                more arguments for the program or the tests that a target runs

.DEFAULT_GOAL := help
SHELL := /bin/sh
.NOTPARALLEL:

PYTHON ?=
ARGS ?=
STEPS ?= 30000
SEEDS ?= 5000
MINUTES ?= 10
DELIVERIES ?= 10000
SCENARIO ?= queue-cycle
export PYTHON

bin := .venv/bin

.PHONY: help run test demo bench bench-full bench-peers proof check format matrix simulate model deliveries torture constraints

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

run: ## Serve on the embedded store in ./data
	@.ci/venv .venv broker,cli
	@mkdir -p -m 700 data
	@exec $(bin)/ropewayd --data-dir data $(ARGS)

test: ## Run the fast tests
	@.ci/venv .venv dev
	@$(bin)/python -m pytest -n auto -m "not proof" $(ARGS)

demo: ## Run the transcoding site: workers, real video, a killed worker and a killed daemon
	@.ci/venv .venv demo
	@$(bin)/python client/examples/transcoding/demo.py $(ARGS)

bench: ## Measure queues against the bare loop, or what SCENARIO=name says
	@.ci/venv .venv bench
	@$(bin)/python -m bench run $(SCENARIO) $(ARGS)

bench-full: ## Measure all that has a target, in about 20 minutes, and write docs/performance.md
	@.ci/venv .venv bench
	@$(bin)/python -m bench full --page docs/performance.md $(ARGS)

bench-peers: ## Measure beside other brokers; installs them where apt-get can
	@.ci/venv .venv peers
	@.ci/peers
	@$(bin)/python -m bench run peers $(ARGS)

proof: ## Run the long proofs in their CI size
	@.ci/venv .venv dev,demo
	@$(bin)/python -m pytest -n auto --dist worksteal -m proof $(ARGS)

check: ## Lint, format, types, and which floor imports which
	@.ci/venv .venv dev
	@$(bin)/ruff check .
	@$(bin)/ruff format --check .
	@$(bin)/mypy broker client bench tests
	@$(bin)/python -m pytest -q tests/test_floors.py

format: ## Put the sources into the form that `make check` asks for
	@.ci/venv .venv dev
	@$(bin)/ruff check --fix-only --quiet .
	@$(bin)/ruff format .

matrix: ## Run the fast tests on each Python from 3.11 up that is found
	@.ci/matrix $(ARGS)

simulate: ## Run the simulation over SEEDS=n seeds
	@.ci/venv .venv dev
	@$(bin)/python -m tests.simulation --seeds $(SEEDS) $(ARGS)

model: ## Hold the queues against the reference model for STEPS=n steps
	@.ci/venv .venv dev
	@$(bin)/python -m tests.model --steps $(STEPS) $(ARGS)

deliveries: ## Kill the daemon in the midst of DELIVERIES=n to web hooks
	@.ci/venv .venv dev
	@DELIVERIES=$(DELIVERIES) $(bin)/python -m pytest -q -m proof tests/deliveries/test_death.py $(ARGS)

torture: ## Go on with faults of all kinds, and new seeds, for MINUTES=n
	@.ci/venv .venv dev
	@$(bin)/python -m tests.faults torture --minutes $(MINUTES) $(ARGS)

constraints: ## Write constraints.txt anew, with the newest versions that fit
	@.ci/constraints
