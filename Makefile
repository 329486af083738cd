# The two commands: `make run` and `make test`. Each does all of its own set-up.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
INSTALL := install --quiet --no-compile --no-deps
CLI := $(VENV)/bin/codec-evolution
CDK := npx --yes aws-cdk@2.1148.1

CYCLES ?= 3
SLOTS ?= 1
PLANNER ?= search
EFFORT ?= quick
STATE_DIR ?= .local
SETTINGS ?=
CONTEXT = $(foreach setting,$(SETTINGS),-c $(setting))
STAGE = $(or $(patsubst stage=%,%,$(filter stage=%,$(SETTINGS))),$(CODEC_EVOLUTION_STAGE))

export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
# Byte code is kept, whatever the shell says: a test starts dozens of processes, and pytest rewrites every test file.
unexport PYTHONDONTWRITEBYTECODE

# Prints how long a step took, and ends as it ended: $(call timed,NAME,COMMAND).
timed = began=$$(date +%s); $(2); ended=$$?; echo "$(1): $$(($$(date +%s) - began)) s"; exit $$ended

.DEFAULT_GOAL := help
.PHONY: help setup run test coverage check lint style types templates fast-tests all-tests audit bench bench-peers chaos synth deploy destroy lock clean
.PHONY: setup-packages setup-emulator setup-torch setup-data

help: ## Show the commands
	@awk -F ':.*## ' '/^##@ / {print "\n" substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-12s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Use
run: setup ## Evolve the codec on this machine: make run CYCLES=3 SLOTS=1 PLANNER=search EFFORT=quick
	$(CLI) run --cycles $(CYCLES) --slots $(SLOTS) --planner $(PLANNER) --effort $(EFFORT) --state-dir $(STATE_DIR)

##@ Change
check: setup ## Check what you edit, in a minute: format, lint, types and the fast unit tests, side by side
	@$(call timed,check,$(MAKE) --no-print-directory --jobs 3 --keep-going --output-sync=target style types fast-tests)

test: setup ## Check everything: format, lint, types and every test
	@$(call timed,test,$(MAKE) --no-print-directory style && $(MAKE) --no-print-directory --jobs 2 types all-tests)

lint: style types templates ## Check format, lint, types and the CloudFormation templates

coverage: setup ## Measure what the unit tests alone cover of the pure rooms; fails below 95 % of the branches
	@$(PY) -m pytest --numprocesses auto tests/unit --cov
	@$(PY) -m coverage json -q -o - | $(PY) -c 'import json, sys; \
	  percent = json.load(sys.stdin)["totals"]["percent_branches_covered"]; \
	  print(f"branches of the pure rooms: {percent:.1f} %, at least 95.0 % are asked for"); sys.exit(percent < 95)'

bench: setup ## Measure stage times, isolation cost and measuring cost; prints JSON
	$(PY) -m tests.bench

bench-peers: setup ## Compare with OpenEvolve and ShinkaEvolve, installed from PyPI into .peers; prints a table
	@$(PY) -m tests.bench.peers

audit: setup ## Look the locked packages up in PyPI's database of vulnerabilities, where it can be reached
	@$(PY) -m infra.audit

chaos: setup ## Inject faults and SIGKILLs into the running loop: make chaos CHAOS="--singles 40 --kills 5 --seed 7"
	$(PY) -m tests.chaos $(CHAOS)

style: setup
	@$(call timed,style,$(PY) -m ruff format --check . && $(PY) -m ruff check .)

# By default, V8 has 16 MB for young objects: collecting them takes a seventh of the CPU time more than with 64 MB.
types: setup
	@$(call timed,types,NODE_OPTIONS="$$NODE_OPTIONS --max-semi-space-size=64" $(VENV)/bin/pyright)

# W3005: the CDK adds dependencies that a reference implies already.
templates: setup
	@$(call timed,templates,$(PY) -m infra.app $(CONTEXT) && $(VENV)/bin/cfn-lint --ignore-checks W3005 -- cdk.out/*.template.json)

fast-tests: setup
	@$(call timed,fast unit tests,$(PY) -m pytest -q --numprocesses $$(nproc) --durations=15 -m "not slow" tests/unit)

# What disturbs other tests, or is disturbed by them, runs alone at the end.
all-tests: setup
	@$(call timed,all tests,$(PY) -m pytest --numprocesses auto --durations=15 -m "not alone" tests)
	@$(call timed,tests that run alone,$(PY) -m pytest -q -m alone $$(grep -rl --include='*.py' 'mark\.alone' tests/unit))

##@ Deploy
synth: setup ## Write the CloudFormation templates to cdk.out (no Docker, no AWS credentials)
	$(PY) -m infra.app $(CONTEXT)
	@echo "the templates are in cdk.out"

deploy: setup ## Deploy to AWS: make deploy SETTINGS="slots=4 daily_budget_usd=5"; needs credentials and Node.js
	@command -v npx >/dev/null || { echo "make deploy needs Node.js (npx) for the CDK command line"; exit 2; }
	@$(PY) -m infra.preflight --deploy $(CONTEXT)
	@built=$$($(PY) -m infra.preflight --image-build $(CONTEXT)) && set -x && \
	  $(CDK) bootstrap $(CONTEXT) -c image_build=$$built && $(CDK) deploy --all $(CONTEXT) -c image_build=$$built

destroy: setup ## Remove the app from AWS; says which data it keeps and how to delete that too
	@command -v npx >/dev/null || { echo "make destroy needs Node.js (npx) for the CDK command line"; exit 2; }
	@$(PY) -m infra.preflight
	$(CDK) destroy $(if $(STAGE),$(STAGE)-)CodecEvolutionApp $(CONTEXT)
	@CODEC_EVOLUTION_STAGE=$(STAGE) $(PY) -m infra.leftovers

##@ Set up
setup: $(VENV)/.ready ## Create the virtual environments and fetch the clips

# pip works on one core, so each step runs beside another. torch is by far the largest package, and what synthesises
# the templates and cuts the clips does without it.
$(VENV)/.ready: pyproject.toml infra/pip.lock infra/requirements.lock infra/node.lock infra/local/emulator.lock sandbox_container/clips/manifest.json
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed; name one with: make PYTHON=python3.12 ..."; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "the venv module is missing: install python3-venv (Debian, Ubuntu)"; exit 2; }
	@echo "first set-up (2 to 5 minutes, once): packages into $(VENV), the local AWS emulator into .emulator"
	@$(PY) -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(PIP) $(INSTALL) --require-hashes -r infra/pip.lock
	@$(MAKE) --no-print-directory --jobs 2 setup-packages setup-emulator
	@$(MAKE) --no-print-directory --jobs 2 setup-torch setup-data
	@touch $@

setup-packages:
	@$(PIP) $(INSTALL) --require-hashes -r infra/requirements.lock
	@$(PIP) $(INSTALL) --no-build-isolation --editable .
	@command -v node >/dev/null || { echo "Node.js, which the machine lacks"; $(PIP) $(INSTALL) --require-hashes -r infra/node.lock; }

setup-emulator:
	@test -x .emulator/bin/python || $(PYTHON) -m venv --without-pip .emulator
	@$(PIP) --python .emulator/bin/python $(INSTALL) --require-hashes -r infra/local/emulator.lock

# torch comes without a hash: which build is right depends on the machine (TORCH_INDEX names another index).
# Sandboxes cannot write byte code, so it is made here, on all cores; pip would use one. What is left out is large, and
# no sandbox imports it; other processes compile the little that they import. A file for a newer Python cannot be
# compiled; it is never imported either.
setup-torch:
	@echo "torch 2.13.0, CPU build"
	@$(PY) -m infra.torch_build 2.13.0 $(TORCH_INDEX)
	@$(PY) -m compileall -qq -j 0 -x '/(aws_cdk|moto|tests|_inductor|_dynamo|onnx|scipy|networkx)/' $(VENV)/lib || true

setup-data:
	@echo "the clips of the benchmark"
	@$(CLI) clips fetch
	@echo "the templates of the local stack"
	@$(PY) -m infra.local.session

lock: ## Write the lock files anew: what is installed, and the digest of the sandbox image's base
	$(PY) -m infra.lock
	$(PY) -m infra.base_image

clean: ## Remove the virtual environments and what was synthesised; keeps the local evolution
	rm -rf $(VENV) .emulator .peers cdk.out
