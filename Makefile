# `make help` lists the commands. Needs Python 3.11 or 3.12, git and the package registry; nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

ifndef PYTHON
# The first that runs and is of a version that fits; a name alone may be a shim of a version that isn't there.
PYTHON := $(shell for python in python3.12 python3.11 python3; do \
  "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2> /dev/null \
  && command -v "$$python" && break; done)
endif
UV_VERSION := 0.13.8
STATE ?= .lookbook
AIRFLOW_PORT ?= 8080
AWS_PORT ?= 4566
DROP ?=
LIMIT ?=
DATE ?=
PRODUCT ?=
NAME ?=
DATA ?=
FORCE ?=
REASON ?=
STATUS ?=
ROWS ?=
REGION ?= us-east-1

export UV_PROJECT_ENVIRONMENT := .venv
export UV_PYTHON_DOWNLOADS := never

ORCHESTRATOR := .venv/.made
TRAINING := .venv-training/.made
BIN := .venv/bin
RUN := PYTHONPATH=include:plugins:. $(BIN)/python
PLATFORM_TESTS := tests/end_to_end tests/laptop tests/local_aws tests/plugins
LAPTOP := $(RUN) -m laptop --state "$(STATE)" --airflow-port $(AIRFLOW_PORT) --aws-port $(AWS_PORT)
DROP_OPTIONS := $(if $(DROP),--drop "$(DROP)") $(if $(LIMIT),--limit $(LIMIT)) $(if $(DATE),--date $(DATE))

##@ The demo

.PHONY: demo
demo: setup ## Set up everything and run drop → model → descriptions; DROP=<directory> LIMIT=<rows> for real data
	@$(LAPTOP) demo $(DROP_OPTIONS)

.PHONY: down
down: ## Stop everything that demo or up started
	@if [ -x $(BIN)/python ]; then $(LAPTOP) down; else echo "Nothing is set up, so nothing runs."; fi

##@ Step by step

.PHONY: up
up: setup ## Start local AWS and Airflow, and leave them running
	@$(LAPTOP) up

.PHONY: status
status: $(ORCHESTRATOR) ## Show what runs, its health and memory, and where to log in
	@$(LAPTOP) status

.PHONY: ingest
ingest: $(ORCHESTRATOR) ## Put a drop into S3 and ingest it; DROP=<directory> LIMIT=<rows> DATE=<Monday> FORCE=1
	@$(LAPTOP) ingest $(DROP_OPTIONS) $(if $(FORCE),--force)

.PHONY: quarantine
quarantine: $(ORCHESTRATOR) ## Print a drop's quarantined rows as CSV, to be mended; DROP=<Monday>
	@if [ -z "$(DROP)" ]; then echo "Which drop? make quarantine DROP=<Monday> > mended.csv" >&2; exit 2; fi
	@$(LAPTOP) run -- python -m lookbook.catalog quarantine "$(DROP)"

.PHONY: requeue
requeue: $(ORCHESTRATOR) ## Judge quarantined rows again; DROP=<Monday> REASON=<code> ROWS=<mended file>
	@if [ -z "$(DROP)" ]; then echo "Which drop? make requeue DROP=<Monday>" >&2; exit 2; fi
	@$(LAPTOP) requeue --drop "$(DROP)" $(if $(REASON),--reason "$(REASON)") $(if $(ROWS),--rows "$(ROWS)")

.PHONY: retrain
retrain: $(ORCHESTRATOR) ## Train a model, compare it and put it in service if it is better; FORCE=1 without new products
	@$(LAPTOP) retrain $(if $(FORCE),--force)

.PHONY: describe
describe: $(ORCHESTRATOR) ## Describe the products of a drop; DATE=<Monday>, by default the latest
	@$(LAPTOP) describe $(if $(DATE),--date $(DATE))

.PHONY: redrive
redrive: $(ORCHESTRATOR) ## Describe a drop's withheld and failed products again; DROP=<Monday> STATUS=<failed|withheld>
	@if [ -z "$(DROP)" ]; then echo "Which drop? make redrive DROP=<Monday>" >&2; exit 2; fi
	@$(LAPTOP) redrive --drop "$(DROP)" $(if $(STATUS),--status "$(STATUS)")

.PHONY: cost
cost: $(ORCHESTRATOR) ## Print what texts cost this month; DROP=<Monday> for all that a drop ever cost
	@$(LAPTOP) run -- python -m lookbook.descriptions cost $(if $(DROP),--drop "$(DROP)")

.PHONY: lineage
lineage: $(ORCHESTRATOR) ## Print where a product's description comes from; PRODUCT=<id>
	@if [ -z "$(PRODUCT)" ]; then echo "Which product? make lineage PRODUCT=<id>" >&2; exit 2; fi
	@$(LAPTOP) run -- python -m lookbook.lineage product "$(PRODUCT)"

.PHONY: housekeeping
housekeeping: $(ORCHESTRATOR) ## Print what housekeeping would delete, and why; deletes nothing
	@$(LAPTOP) run -- python -m lookbook.housekeeping plan

.PHONY: local-aws
local-aws: setup ## Run only local AWS, in the foreground, and print what to export for any AWS client
	@$(LAPTOP) local-aws

##@ Development

.PHONY: setup
setup: ## Make both environments (.venv, .venv-training); instant when they are there
	@$(MAKE) --no-print-directory --silent --jobs 2 $(ORCHESTRATOR) $(TRAINING)

.PHONY: test
test: setup lint ## Run every check; ends with pytest's summary
	@.venv-training/bin/pip install --quiet --disable-pip-version-check --requirement training_image/requirements-dev.txt
	@# Side by side with what waits for processes; its output comes last, from its beginning.
	@mkdir -p "$(STATE)"; log="$(STATE)/tests.log"; \
	  $(BIN)/python -m pytest $(PLATFORM_TESTS) > "$$log" 2>&1 & platform=$$!; \
	  trap 'kill $$platform 2> /dev/null || true' EXIT; status=0; \
	  .venv-training/bin/python -m pytest tests/training_image || status=$$?; \
	  $(BIN)/python -m pytest --ignore tests/training_image $(PLATFORM_TESTS:%=--ignore %) || status=$$?; \
	  tail --lines +1 --follow --pid $$platform "$$log"; wait $$platform || status=$$?; exit $$status

.PHONY: lint
lint: $(ORCHESTRATOR) ## Check style and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

.PHONY: bench
bench: setup ## Measure against the goals; NAME=<benchmark> for one, DATA=<directory> for real data
	@$(RUN) -m benchmarks $(if $(NAME),--name $(NAME)) $(if $(DATA),--data "$(DATA)")

.PHONY: docs
docs: $(ORCHESTRATOR) ## Write docs/dags.md and docs/settings.md from the code
	@$(RUN) -m lookbook.settings > docs/settings.md
	@AIRFLOW_HOME="$(CURDIR)/$(STATE)/docs" AIRFLOW__CORE__LOAD_EXAMPLES=False $(RUN) -m lookbook_airflow.reference > /dev/null
	@echo "Wrote docs/dags.md and docs/settings.md"

.PHONY: base-image
base-image: .uv/.made ## Print the AWS container that the training image is built on; REGION=<AWS region>
	@.uv/bin/uv run --quiet --no-project --isolated training_image/base_image.py "$(REGION)"

.PHONY: requirements
requirements: .uv/.made ## Compile the requirements files from pyproject.toml and uv.lock
	@.uv/bin/uv lock --quiet
	@.uv/bin/uv export --quiet --frozen --no-dev --extra cluster --no-hashes --no-annotate --no-header \
	  --format requirements-txt --output-file requirements.txt
	@.uv/bin/uv export --quiet --frozen --only-group local-aws --no-hashes --no-annotate --no-header \
	  --format requirements-txt --output-file requirements-local-aws.txt
	@echo "Wrote requirements.txt and requirements-local-aws.txt"

.env: ## Make the keys and passwords that docker-compose.yaml asks for
	@$(MAKE) --no-print-directory --silent $(ORCHESTRATOR)
	@umask 077 && $(LAPTOP) env-file > $@
	@echo "Wrote .env; next: docker compose up --build --detach --wait"

.PHONY: clean
clean: down ## Stop everything and delete what it kept: tables, models, runs, logs (the environments stay)
	rm -rf "$(STATE)"

.PHONY: help
help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[.a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- environments ----

.uv/.made: Makefile
	@[ -n "$(PYTHON)" ] || { echo "Lookbook needs Python 3.11 or 3.12; none is on the PATH." >&2; exit 1; }
	@"$(PYTHON)" -m venv .uv || \
	  { echo "$(PYTHON) can't make virtual environments; on Debian or Ubuntu install python3-venv." >&2; exit 1; }
	@.uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

$(ORCHESTRATOR): pyproject.toml uv.lock | .uv/.made
	@echo "Making the orchestrator's environment (.venv) …" >&2  # what is asked for may go to a file
	@.uv/bin/uv sync --quiet --frozen --python "$(PYTHON)"
	@touch $@

$(TRAINING): training_image/requirements.txt include/laptop/training_environment.py | .uv/.made
	@echo "Making the training image's environment (.venv-training), CPU only …"
	@"$(PYTHON)" -m venv .venv-training
	@PYTHONPATH=include .venv-training/bin/python -m laptop.training_environment training_image/requirements.txt
	@touch $@
