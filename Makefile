# Matakite. Needs only `make` and python3 >= 3.11; everything else is installed into this folder.
#
#   make demo     the whole loop on this machine: carts in, people known, mail out
#   make test     every suite (unit, contract, sql, infra, then system on the deployed stacks)
#   make lint     format, types, imports, templates, scenarios
#   make help     the rest

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
PY     := .venv/bin/python
UV     := .venv/bin/uv
DEMO   ?=

# Compiled modules halve the time of a synthesis: keep them, whatever the shell's habits are.
unexport PYTHONDONTWRITEBYTECODE
export UV_NO_PROGRESS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

say = @if [ -t 1 ]; then printf '\033[2m%s\033[0m\n' "$(1)"; else echo "$(1)"; fi

# --- set-up -----------------------------------------------------------------------------------------------------------
.PHONY: help setup demo test test-rules test-system lint bench chaos bundles lock audit clean distclean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

setup: .venv/.ready .venv-cloud/.ready .venv-runtime/.ready .venv-sdk/.ready ## install everything, into this folder only

.venv/.ready: requirements/bootstrap.txt requirements/dev.txt requirements/demo.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Matakite needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>/dev/null || echo missing)." >&2; \
	  echo "Install a newer one, or name it: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	$(call say,setting up: tools …)
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --require-hashes -r requirements/bootstrap.txt
	@$(UV) pip install --quiet --python $(PY) --require-hashes -r requirements/dev.txt
	@$(UV) pip install --quiet --python $(PY) --require-hashes --no-deps -r requirements/demo.txt
	@$(UV) pip install --quiet --python $(PY) --no-build-isolation --no-deps -e .
	@touch $@

.venv-%/.ready: requirements/%.txt .venv/.ready
	$(call say,setting up: $* …)
	@test -x .venv-$*/bin/python || $(UV) venv --quiet --python $(PY) .venv-$*
	@$(UV) pip install --quiet --python .venv-$*/bin/python --require-hashes -r $<
	@touch $@

# jsii (the engine of aws-cdk-lib) runs on Node: the one from PyPI, never the system's. infra/node.py does the same.
demo test test-rules test-system lint bench: export JSII_NODE = $(shell test -e .venv/.ready && $(PY) -m infra.node)

# --- use --------------------------------------------------------------------------------------------------------------
demo: setup ## deploy on this machine and play a shop's day (DEMO=--keep-running leaves the pages open)
	@$(PY) -m infra.cli demo $(DEMO)

test: setup ## every suite, in about 10 minutes on 2 cores
	@$(MAKE) --no-print-directory -j2 --output-sync=target test-rules test-system

# Side by side: the first computes, the second mostly waits for the local cloud.
test-rules:
	@$(PY) -m pytest -q tests/unit tests/contract tests/sql tests/infra

test-system:
	@$(PY) -m pytest -q tests/system

lint: setup ## format, style, types, imports, templates, scenarios
	$(call say,format and style …)
	@$(PY) -m ruff format --check --quiet .
	@$(PY) -m ruff check --quiet .
	$(call say,types …)
	@$(PY) -m mypy
	$(call say,imports …)
	@.venv/bin/lint-imports
	$(call say,templates …)
	@$(PY) -m infra.synth .build/assembly
	@.venv/bin/cfn-lint .build/assembly/*.template.json
	$(call say,scenarios …)
	@$(PY) -m infra.cli scenario check

bench: setup ## cold starts, bundle sizes, throughput
	@POWERTOOLS_LOG_LEVEL=ERROR $(PY) -m pytest -q -s tests/bench

SEED ?= 1
ONLY ?=
CASE ?=
SIZE ?= 1
chaos: setup ## faults everywhere, from one SEED; ONLY=T3,T15 CASE=7 plays one again, SIZE=10 ten times as many
	@$(PY) -m tests.chaos --seed "$(SEED)" --size $(SIZE) --only "$(ONLY)" $(if $(CASE),--case $(CASE))

bundles: setup ## build the arm64 code bundles and show their sizes
	@$(PY) -m infra.packaging.bundle

# --- upkeep -----------------------------------------------------------------------------------------------------------
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
# The Lambda runtime brings these itself (they come with boto3), so no bundle carries them.
RUNTIME = $(foreach name,boto3 botocore s3transfer jmespath python-dateutil six urllib3,--no-emit-package $(name))

lock: setup ## resolve requirements/*.in again (UPGRADE=1 takes newer versions)
	@cd requirements && for group in bootstrap runtime light lake model cloud sdk demo dev peers; do \
	  echo "locking $$group"; extra=""; \
	  case $$group in \
	    light|lake|model) extra='$(RUNTIME) -c runtime.txt' ;; \
	    demo) extra=--no-deps ;; \
	    dev) extra='-c light.txt -c lake.txt -c model.txt' ;; \
	  esac; \
	  case $$group in lake|model) extra="$$extra -c light.txt" ;; esac; \
	  ../$(COMPILE) $${UPGRADE:+--upgrade} $$group.in $$extra -o $$group.txt; \
	done

audit: setup ## known vulnerabilities in the locked packages (asks the public database)
	@for lock in requirements/*.txt; do echo "$$lock"; .venv/bin/pip-audit --disable-pip --require-hashes -r $$lock; done

clean: ## forget what was built
	@rm -rf .build cdk.out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

distclean: clean ## … and what was installed
	@rm -rf .venv .venv-cloud .venv-runtime .venv-sdk .matakite
