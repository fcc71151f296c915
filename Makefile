# One command for everything, the same for a person, a hook and CI:
#   make up [ARGS="--port 9000"]   the real thing on this machine, until Ctrl-C
#   make demo [ARGS="--port 9000"] the same page over a made-up shop, its past and an incident; watches nothing
#   make test [ARGS="-k store"]    everything that must hold, from a bare machine on
#   make soak [ARGS="poison"]      the named parts of the soak (docs/soak.md), or cases of the faults; all: three hours
#   make matrix [ARGS="'celery*'"]  every supported version of Celery, Django, redis-py and Python (docs/versions.md)
#   make lint | servers | bench | screenshots | clean

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := up

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OLD_VENV := $(VENV)/.celery-5.4
KAFKAS := $(VENV)/.kafka-4 $(VENV)/.kafka-0.9
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
ARGS ?=
# Most tests wait for other processes most of the time. JOBS=0 runs one after the other.
JOBS ?= 5
# These hold real workers to a second: without neighbours, and first.
ALONE := tests/system/faults
MINUTES ?= 30

.PHONY: up demo screenshots test lint servers bench matrix soak clean

up: $(VENV)/.installed
	@exec $(BIN)/python -m monitor up $(ARGS)

demo: $(VENV)/.installed
	@exec $(BIN)/python -m demo $(ARGS)

# The pictures in docs/images, by Chromium, of the demo: two minutes.
screenshots: servers $(VENV)/.installed-dev
	@exec $(BIN)/python -m demo.screenshots

test: servers lint $(OLD_VENV)/.installed $(VENV)/.kafka-4/classes.jsa
	@$(BIN)/python -m pytest $(ALONE) $(ARGS) || [ $$? = 5 ] # 5: ARGS leave none of these
	@exec $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile $(ALONE:%=--ignore=%) $(ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The servers the tests run against: installed on Debian by root, named to everybody else; Kafkas from Maven Central.
servers:
	@scripts/servers
	@for kafka in $(KAFKAS); do scripts/kafka tests/support/kafka/$${kafka##*-}/pom.xml $$kafka; done

# With it each of the tests' Kafkas starts sooner. A Kafka that is fetched anew has lost it.
$(VENV)/.kafka-4/classes.jsa: | servers $(VENV)/.installed-dev
	@$(BIN)/python -m tests.support.kafka_archive

bench: servers $(VENV)/.installed-dev
	@exec $(BIN)/python -m bench $(ARGS)

# Each cell is resolved without constraints, installed and run: about a minute. RECORD=1 keeps the outcome in docs/versions.md.
matrix: $(VENV)/.installed-dev
	@exec $(BIN)/python -m matrix $(if $(RECORD),--record) $(ARGS)

# The parts are those of soak/parts.py: faults faults-5.4 changing poison answers connections stacks. ARGS names some of
# them, or cases of the faults (killed-solo). RECORD=1 keeps the outcome in docs/soak.md.
soak: servers $(VENV)/.installed-dev $(OLD_VENV)/.installed
	@exec $(BIN)/python -m soak.parts --minutes $(MINUTES) $(if $(RECORD),--record) $(ARGS)

clean:
	rm -rf $(VENV) .monitor dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# A stamp is younger than what it was installed from: the second `make` installs nothing.
$(VENV)/.installed: pyproject.toml constraints.txt scripts/venv
	@scripts/venv $(VENV) $(PYTHON)
	@scripts/announce $(VENV) 150 $(PIP_INSTALL) --editable '.[server,embedded,hiredis,kafka,postgres]'
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@scripts/announce $(VENV) 850 $(PIP_INSTALL) --group dev
	@touch $@

# What a user's worker with the oldest Celery has, and nothing of ours: the agent in it needs nothing else.
$(OLD_VENV)/.installed: $(VENV)/.installed constraints-celery-5.4.txt
	@scripts/venv $(OLD_VENV) $(PYTHON)
	@$(OLD_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-celery-5.4.txt \
		celery kombu redis gevent eventlet
	@touch $@
