# Two commands do everything on a machine that has Python 3.11 or newer and make: `make attest` and `make test`.

SHELL := /bin/sh
PYTHON ?= python3
UV := uv==0.13.9
BIN := .venv/bin
SETUP := .venv/ready sandbox/node_modules/.ready

export AIRFLOW_HOME := $(CURDIR)
# Dozens of processes import the same large packages; without their compiled form each would compile them anew.
export PYTHONDONTWRITEBYTECODE :=
# The last sandbox, unless somebody names a configuration.
export ASSAY_CONFIG ?= $(CURDIR)/.sandbox/run/assay.toml
# Airflow's plugin folder and the checkout itself; the same on the command line as inside Airflow.
export PYTHONPATH := $(CURDIR)/plugins:$(CURDIR)

.PHONY: attest airflow verify test bench lint types requirements clean help

attest: $(SETUP)  ## run the sandbox's two month-ends through Airflow, publish and verify
	@$(BIN)/python -m sandbox attest

airflow: $(SETUP)  ## Airflow with its UI on the same project and a running sandbox
	@$(BIN)/python -m sandbox airflow

verify: $(SETUP)  ## the independent verifier over the newest publication
	@$(BIN)/assay verify

test: $(SETUP) tests/web/node_modules/.ready  ## the whole test suite
	@$(BIN)/python -m pytest -q -n 2 --dist loadfile --ignore tests/test_end_to_end.py --ignore tests/test_own_deployment.py
	@# An Airflow with everything around it wants the machine for itself.
	@$(BIN)/python -m pytest -q tests/test_end_to_end.py tests/test_own_deployment.py

bench: $(SETUP)  ## benchmarks, each beside its floor or a peer
	@$(BIN)/python -m tests.bench

lint: $(SETUP)  ## ruff, sqlfluff, and hadolint where it runs
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/sqlfluff lint --disable-progress-bar sql
	@! test -x $(BIN)/hadolint || $(BIN)/hadolint deploy/Containerfile

types: $(SETUP)  ## mypy, strict
	@$(BIN)/mypy

# One resolution: the whole is resolved once, and the smaller sets are cut from it by holding every version to it.
COMPILE = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q
requirements:  ## resolve all requirements*.in anew
	@$(COMPILE) requirements.in requirements-build.in requirements-sandbox.in requirements-dev.in -o requirements-dev.txt
	@rm -f requirements.txt requirements-build.txt requirements-sandbox.txt
	@$(COMPILE) requirements.in --constraint requirements-dev.txt -o requirements.txt
	@$(COMPILE) requirements.in requirements-sandbox.in --constraint requirements-dev.txt -o requirements-sandbox.txt
	@$(COMPILE) requirements-build.in --constraint requirements-dev.txt -o requirements-build.txt

clean:  ## remove what the sandbox's runs left behind, publications included
	@test -z "$$(ls data/publications 2>/dev/null | grep -vx sandbox)" || { echo "data/publications holds other series than the sandbox's; nothing was removed"; exit 1; }
	rm -rf .sandbox airflow.db* logs data/raw data/snapshot data/marts data/quality data/publications data/bitcoinlib

help:
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/'

.venv/ready: requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Assay needs Python 3.11 or newer; set PYTHON=/path/to/it")'
	@echo "setting up .venv"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirement requirements-dev.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

sandbox/node_modules/.ready: .venv/ready sandbox/package-lock.json
	@echo "setting up anvil"
	@cd sandbox && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --no-audit --no-fund
	@touch $@

tests/web/node_modules/.ready: .venv/ready tests/web/package-lock.json
	@echo "setting up a browser"
	@cd tests/web && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@
