# Two commands are enough: `make demo` and `make test`. Each prepares what it needs, once, in .venv; nothing else is
# touched and nothing needs root. Python 3.11 or 3.12 with venv, make, git and the network (or uv's cache) are assumed.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
INSTALL := requirements/install
UPGRADE ?=
SEED ?= 7
MINUTES ?= 30
BENCH ?=
STORY ?=
USE_CASES := use_cases/bbc_news use_cases/cats_dogs use_cases/fashion_mnist
DATA ?= synthetic
OUT ?= .cdl/paper-transfer
# A customer subclasses and decorates with what its framework left untyped.
LENIENT := --allow-subclassing-any --allow-untyped-decorators

# Bytecode is compiled once at install; nobody's environment may switch that off for trials and servers.
unexport PYTHONDONTWRITEBYTECODE
# What a shell session left behind must not leak into the project.
unexport VIRTUAL_ENV
unexport PYTHONPATH

.PHONY: help demo demo-bbc paper-transfer demo-gitops test test-slow test-pachd check format pytest control-plane chaos bench bench-data bench-serving coverage generate lock setup clean distclean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- the two commands --------------------------------------------------------------------------------------------------

demo: $(VENV)/.demo  ## Set up, then Fashion-MNIST from raw files to a served prediction
	@$(BIN)/cdl run use_cases/fashion_mnist

demo-bbc: $(VENV)/.bbc  ## Set up, then BBC news (PyTorch) the same way
	@$(BIN)/cdl run use_cases/bbc_news

paper-transfer: $(VENV)/.demo  ## The transfer-learning paper's tables and figures anew (DATA=folder of halves.py OUT=folder PAPER="--seed 2")
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-2} $(BIN)/python use_cases/cats_dogs/paper.py --data $(DATA) --out $(OUT) $(PAPER)

demo-gitops: $(VENV)/.demo $(VENV)/.bbc  ## Set up, then both use cases by merge requests (STORY="--only bbc-news --keep")
	@$(BIN)/python -m demos.gitops $(STORY)

test: check pytest  ## Set up, then format, lint, types, layers and every test

# --- the parts ---------------------------------------------------------------------------------------------------------

setup: $(VENV)/.tests  ## Everything a developer needs, in .venv

check: $(VENV)/.tests  ## Format, lint, types and import layers, without the tests
	@printf '\n==> format (ruff format --check)\n'
	@$(BIN)/ruff format --check .
	@printf '\n==> lint (ruff check)\n'
	@$(BIN)/ruff check .
	@printf '\n==> types (mypy --strict: the package, the steps, each use case and template)\n'
	@$(BIN)/mypy
	@MYPYPATH=pipelines $(BIN)/mypy --explicit-package-bases pipelines
	@$(BIN)/mypy --explicit-package-bases benchmarks demos
	@for case in $(USE_CASES); do MYPYPATH=$$case/model:src $(BIN)/mypy $(LENIENT) $$(git ls-files "$$case/*.py"); done
	@for kind in text image table; do MYPYPATH=templates/$$kind/model:templates/$$kind:templates/every/model:src $(BIN)/mypy $(LENIENT) templates/$$kind templates/every/model templates/every/serve; done
	@printf '\n==> layers (lint-imports)\n'
	@$(BIN)/lint-imports

pytest: control-plane  ## The tests alone (TESTS=tests/unit narrows them)
	@printf '\n==> tests (pytest)\n'
	@$(BIN)/pytest -q -m 'not slow' $(TESTS)

test-slow: control-plane  ## The tests that take minutes each
	@printf '\n==> slow tests (pytest -m slow)\n'
	@$(BIN)/pytest -q -m slow $(TESTS)

test-pachd: $(VENV)/.tests  ## The contract of a data engine on a Pachyderm of yours (CDL_PACHD_ADDRESS=host:port)
	@test -n "$${CDL_PACHD_ADDRESS:-}" || { echo "CDL_PACHD_ADDRESS is not set: make test-pachd CDL_PACHD_ADDRESS=host:port"; exit 2; }
	@$(BIN)/pytest -q --timeout 900 --pachd "$$CDL_PACHD_ADDRESS" tests/wire/drivers/test_driver_contracts.py::TestPachyderm

control-plane: $(VENV)/.tests  ## Have a kube-apiserver that works: found, fetched, or built (minutes, once)
	@printf '\n==> control plane (etcd, kube-apiserver, kube-controller-manager)\n'
	@$(BIN)/python -m cdl.embedded.controlplane

chaos: control-plane  ## Break the platform on purpose for half an hour (SEED=7 MINUTES=30)
	@$(BIN)/python -m tests.chaos --seed $(SEED) --minutes $(MINUTES)

bench: control-plane  ## Measure the operator at scale beside the API server's own floor (BENCH="--count 1000")
	@$(BIN)/python -m benchmarks.operator_scale $(BENCH)

bench-data: $(VENV)/.tests  ## Measure commits and reading back beside cp, git and DVC
	@$(BIN)/python -m benchmarks.data $(BENCH)

bench-serving: $(VENV)/.tests  ## Measure the model server beside HTTP alone and others (BENCH="--peers FOLDER")
	@$(BIN)/python -m benchmarks.serving $(BENCH)

coverage: control-plane  ## Branch coverage of src/cdl in this process (servers run in their own)
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q -m 'not slow' $(TESTS)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report

format: $(VENV)/.tests  ## Let ruff rewrite what it can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

generate: $(VENV)/.tests  ## Write again every file that is made from another
	@$(BIN)/python -m cdl.kube.crds
	@$(BIN)/python -m cdl.kube.rbac
	@$(BIN)/python charts/render.py
	@$(BIN)/python docs/reference/render.py

lock: $(VENV)/.uv  ## Resolve requirements/*.txt again (UPGRADE=1 takes the newest)
	@$(INSTALL) --lock $(UPGRADE)

clean:  ## Remove caches (never .cdl, which is your state, nor .venv)
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* dist
	@find src tests pipelines use_cases -type d -name __pycache__ -prune -exec rm -rf {} +

distclean: clean  ## Remove .venv too
	@rm -rf $(VENV)

# --- set-up: one stamp a set, so that a second time costs nothing ------------------------------------------------------

$(VENV)/.uv: requirements/install
	@$(INSTALL) --uv
	@touch $@

$(VENV)/.demo $(VENV)/.bbc $(VENV)/.tests: $(VENV)/.%: requirements/%.txt pyproject.toml requirements/install | $(VENV)/.uv
	@$(INSTALL) $*
	@touch $@
