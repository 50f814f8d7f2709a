# Everything runs in .venv, which pipeline/environment/bootstrap.py makes from requirements.lock; no root, no cloud, no Docker.
SHELL := /bin/bash
export DRIFTGATE_VENV ?= .venv
PY := $(DRIFTGATE_VENV)/bin/python
# The first interpreter that works and is 3.11 to 3.13; name another with `make run PYTHON=...`.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1 && echo $$p && break; done)
ARGS ?=
# Test processes; each holds about 2 GB.
WORKERS ?= 2
EXTRAS ?=

.PHONY: help run test test-pythons docs install doctor lint unit e2e golden image prove-image prove-airflow prove-rehearsal bench prove-onboarding prove-beam prove-soak lock clean
.DEFAULT_GOAL := help

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

run: install ## the complete pipeline on the newest taxi span (ARGS="--dataset flights --span 6")
	@$(PY) local_runner.py run $(ARGS)

test: install lint ## every check and every test, on a fresh clone too
	@$(PY) -m pytest -n $(WORKERS) --dist loadscope $(ARGS)

test-pythons: ## `make test` on each Python 3.11, 3.12 and 3.13 that is here, each in an environment of its own (long)
	@for version in 3.11 3.12 3.13; do \
		python=$$(command -v python$$version) && $$python -c '' >/dev/null 2>&1 || { echo "python$$version: not on the path"; continue; }; \
		echo "python$$version"; $(MAKE) --no-print-directory test PYTHON=$$python DRIFTGATE_VENV=.venv-$$version || exit 1; done

install: ## make .venv complete; returns at once where it is
	@if [ -z "$(PYTHON)" ]; then echo "error: no Python 3.11, 3.12 or 3.13 found. Install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; fi
	@$(PYTHON) -m pipeline.environment.bootstrap

doctor: ## what was found on this machine, and the remedy for what is missing
	@if [ -x $(PY) ]; then $(PY) -m pipeline.environment.doctor; else $(PYTHON) -m pipeline.environment.doctor; fi

lint: install ## ruff, mypy --strict and the import contracts
	@$(PY) -m ruff check --quiet .
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m mypy
	@$(DRIFTGATE_VENV)/bin/lint-imports --no-cache >$(DRIFTGATE_VENV)/lint-imports.log || (cat $(DRIFTGATE_VENV)/lint-imports.log; exit 1)

unit: install ## the tests that take seconds
	@$(PY) -m pytest -m "not e2e" $(ARGS)

e2e: install ## the end-to-end tests alone
	@$(PY) -m pytest -m e2e $(ARGS)

golden: install ## renew the compiled pipelines that the tests compare with; review the change like code
	@$(PY) -m tests.pipeline.kubeflow.golden

docs: install ## write the pages that are made from the code: docs/config.md, docs/cli.md, docs/evaluation.md
	@$(PY) -m docs.config
	@$(PY) -m docs.cli
	@$(PY) -m docs.evaluation

image: ## the container image, where Docker or Podman is (EXTRAS="vertex flights")
	@engine=$$(command -v docker || command -v podman) || { echo "error: neither docker nor podman is on the path" >&2; exit 1; }; \
	$$engine build -f deploy/Dockerfile $(if $(EXTRAS),--build-arg EXTRAS="$(EXTRAS)") --build-arg REVISION="$$(git rev-parse HEAD 2>/dev/null)" -t driftgate .

prove-image: install ## the image's instructions performed without an engine, then used (root, Debian or Ubuntu; long)
	@$(PY) -m benchmarks.image $(ARGS)

prove-airflow: install ## the DAG on Airflow 2.11 and 3: rerun, skip, block, backfill (long)
	@$(PY) -m benchmarks.airflow $(ARGS)

prove-rehearsal: install ## a compiled pipeline against the local runner, step by step; minutes
	@$(PY) -m benchmarks.rehearsal

bench: install ## remake benchmarks/results and the tables in the docs (long)
	@$(PY) -m benchmarks.quality
	@for part in whole power cost table; do $(PY) -m benchmarks.gate $$part || exit 1; done
	@for part in training_budget end_to_end scale gate_only performance_power expected_gains policies; do $(PY) -m benchmarks.$$part || exit 1; done
	@$(PY) -m benchmarks.batch_inference
	@$(PY) -m benchmarks.replays
	@$(PY) -m benchmarks.serving

prove-soak: install ## 50 spans under watch, with kills and a full disk (minutes; the full disk needs root)
	@$(PY) -m benchmarks.soak $(ARGS)

prove-onboarding: install ## odd files, each with `init` and `run` alone to a pushed model (long)
	@$(PY) -m benchmarks.onboarding $(ARGS)

prove-beam: install ## the pipeline on real Flink and Spark clusters, with machines lost on the way (long)
	@$(PY) -m benchmarks.distributed.prove_beam

lock: install ## resolve setup.py's requirements anew into requirements.lock
	@.venv/bin/uv pip compile setup.py --all-extras --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o requirements.lock
	@for version in 2.11 3; do echo "apache-airflow~=$$version" | sed 's/~=3$$/>=3,<4/' | .venv/bin/uv pip compile - --quiet --universal \
		--python-version 3.11 --no-header --no-annotate -o deploy/airflow/airflow-$$version.lock || exit 1; done

clean: ## remove runs and the environment
	rm -rf runs .venv
